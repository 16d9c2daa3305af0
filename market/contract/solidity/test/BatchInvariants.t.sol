// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BatchWorld} from "./BatchWorld.sol";
import {Interval} from "../Batch.sol";

/// Intervals of a market, delivered or curtailed; each is checked by itself, too.
contract BatchHandler is BatchWorld {
    constructor(uint8 mechanism) {
        open(mechanism, 4, false);
    }

    function deliverAll(uint256 seed) external {
        bring(makeInterval(makeOrders(seed)));
    }

    function deliverSome(uint256 seed) external {
        Interval memory interval = makeInterval(makeOrders(seed));
        curtail(interval, seed);
        bring(interval);
    }

    function moneyIsAllThere() external view returns (bool) {
        return countMoney(state) == sumOfMoney;
    }
}

contract BatchInvariants {
    BatchHandler[2] private handlers;

    function setUp() public {
        (handlers[0], handlers[1]) = (new BatchHandler(3), new BatchHandler(4));
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](2);
        (targets[0], targets[1]) = (address(handlers[0]), address(handlers[1]));
    }

    function invariant_money_is_neither_made_nor_lost() public view {
        require(handlers[0].moneyIsAllThere() && handlers[1].moneyIsAllThere(), "money is made or lost");
    }
}
