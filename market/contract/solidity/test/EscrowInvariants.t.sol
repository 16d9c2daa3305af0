// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EscrowWorld} from "./Escrow.t.sol";

/// What members and the operator do, in any order.
contract EscrowHandler is EscrowWorld {
    uint256 public paidIn;

    constructor(bool ether_) {
        open(ether_);
    }

    function deposit(uint256 i, uint96 amount) external {
        pay(i % 3, amount);
        paidIn += amount;
    }

    function say(uint256 i, uint256 amount) external {
        announce(i % 3, amount % (balance(i % 3) + 1));
    }

    function take(uint256 i, uint256 later) external {
        vm.warp(block.timestamp + later % 10 days);
        uint256 before = held();
        vm.prank(member(i % 3));
        try escrow.withdraw() {
            paidIn -= before - held();
        } catch {
            check(before == held(), "money is gone without a withdrawal");
        }
    }

    function settle(uint256 i, uint256 amount, uint256 split) external {
        (uint256 a, uint256 b, uint256 c) = (i % 3, (i % 3 + 1) % 3, (i % 3 + 2) % 3);
        int256[] memory net = new int256[](3);
        amount = amount % (balance(a) + 1);
        split = split % (amount + 1);
        (net[a], net[b], net[c]) = (-int256(amount), int256(split), int256(amount - split));
        escrow.settle(escrow.nextDay(), "source", net);
    }

    function isCovered() external view returns (bool) {
        return balance(0) + balance(1) + balance(2) == held() && held() == paidIn;
    }
}

contract EscrowInvariants {
    EscrowHandler[2] private handlers;

    function setUp() public {
        (handlers[0], handlers[1]) = (new EscrowHandler(true), new EscrowHandler(false));
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](2);
        (targets[0], targets[1]) = (address(handlers[0]), address(handlers[1]));
    }

    function invariant_what_members_are_told_is_there_to_the_unit() public view {
        require(handlers[0].isCovered() && handlers[1].isCovered(), "told and held differ");
    }
}
