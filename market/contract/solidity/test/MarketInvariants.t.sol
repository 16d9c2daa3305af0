// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Market} from "../Market.sol";
import {Holding, Wish} from "../Records.sol";
import {MarketWorld} from "./MarketWorld.sol";

/// Does to a market what anybody may do, in any order.
contract Crowd is MarketWorld {
    int256 public immutable opening;
    uint256 public cleared;

    constructor(uint8 mechanism) {
        open(makeRules(mechanism), 5, false);
        opening = totalMoney();
    }

    function orderSomething(uint256 house, uint256 seed) external {
        isTaken(house % 5, draw(seed));
    }

    function orderAnything(uint256 house, Wish calldata wish) external {
        isTaken(house % 5, wish);
    }

    function clearAtGate(address anybody) external {
        if (interval() == 64) return;
        vm.warp(market.gate(interval()));
        vm.prank(anybody);
        market.clear();
        vm.warp(1);
        cleared++;
    }

    function checkAll() external view {
        check(totalMoney() == opening, "money was made or lost");
        checkLots();
        check(interval() == cleared, "an interval was left out or cleared twice");
        Holding[] memory all = market.listHoldings();
        for (uint256 i = 0; i < 5; i++) {
            check(uint256(all[i].own) + all[i].hosted <= 10_000, "a battery is overfull");
        }
    }
}

contract MarketInvariantsTest {
    Crowd private central;
    Crowd private prosumers;

    function setUp() public {
        (central, prosumers) = (new Crowd(3), new Crowd(4));
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](2);
        (targets[0], targets[1]) = (address(central), address(prosumers));
    }

    /// Every clearing went through (a crowd's own reverts fail here), nobody is overdrawn, nothing is made or lost.
    function invariant_money_lots_and_batteries() public view {
        central.checkAll();
        prosumers.checkAll();
    }
}
