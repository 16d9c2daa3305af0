// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EscrowWorld} from "./Escrow.t.sol";

/// What members and the operator do, in any order and at any time.
contract EscrowHandler is EscrowWorld {
    uint256[3] private paidIn;
    int256[3] private moved; // by settlements
    uint256[3] private paidOut;
    uint256[3] private freeFrom; // when what is announced may be taken, were nothing settled
    uint256[3] private announcedIn;

    constructor(bool ether_) {
        open(ether_);
    }

    function deposit(uint256 i, uint96 amount) external {
        pay(i % 3, amount);
        paidIn[i % 3] += amount;
    }

    function say(uint256 i, uint256 amount) external {
        i %= 3;
        announce(i, amount % (balance(i) + 1));
        uint256 nth = (block.timestamp - BEGIN) / LENGTH;
        (announcedIn[i], freeFrom[i]) = (FIRST + nth, BEGIN + (nth + 1) * LENGTH + PATIENCE);
    }

    function take(uint256 i, uint256 later) external {
        i %= 3;
        vm.warp(block.timestamp + later % 3 days);
        uint256 before = held();
        (uint256 told, uint256 leaving) = escrow.accounts(i);
        bool isFree = escrow.nextPeriod() > announcedIn[i] || block.timestamp >= freeFrom[i];
        vm.prank(member(i));
        try escrow.withdraw() {
            check(isFree, "taken before the period was settled");
            check(before - held() == leaving && told - balance(i) == leaving, "other than what was announced");
            paidOut[i] += leaving;
        } catch {
            check(before == held() && !isFree, "kept, or gone without a withdrawal");
        }
    }

    /// Positions of any size: half of the time more than there is.
    function settle(uint256 i, uint256 amount, uint256 split, bool twoOwe) external {
        (uint256 a, uint256 b, uint256 c) = (i % 3, (i % 3 + 1) % 3, (i % 3 + 2) % 3);
        int256[] memory net = new int256[](3);
        amount %= 2 * balance(a) + 10;
        split %= amount + 1;
        (net[a], net[b], net[c]) = (-int256(amount), int256(split), int256(amount - split));
        if (twoOwe) (net[a], net[b], net[c]) = (-net[a], -net[b], -net[c]);
        settleAndCompare(net);
    }

    function settleAndCompare(int256[] memory net) private {
        uint256[3] memory before = [balance(0), balance(1), balance(2)];
        (uint256 owed, uint256 collected) = (0, 0);
        for (uint256 i = 0; i < 3; i++) {
            if (net[i] >= 0) continue;
            owed += uint256(-net[i]);
            collected += uint256(-net[i]) < before[i] ? uint256(-net[i]) : before[i];
        }
        settle(net, owed - collected);
        int256 sum;
        for (uint256 i = 0; i < 3; i++) {
            int256 change = int256(balance(i)) - int256(before[i]);
            sum += change;
            moved[i] += change;
            if (net[i] <= 0) {
                int256 debt = -net[i] < int256(before[i]) ? net[i] : -int256(before[i]);
                check(change == debt, "takes other than is owed and there");
            } else {
                int256 off = change * int256(owed) - net[i] * int256(collected);
                check(change >= 0 && change <= net[i], "less than nothing, or more than asked");
                check(off < int256(owed) && -off < int256(owed), "a unit off its share, or more");
            }
        }
        check(sum == 0, "a period does not add up to zero");
    }

    function isCovered() external view returns (bool) {
        uint256 sum = paidIn[0] + paidIn[1] + paidIn[2] - paidOut[0] - paidOut[1] - paidOut[2];
        return balance(0) + balance(1) + balance(2) == held() && held() == sum;
    }

    /// Every account follows from what its member paid in, what was moved, and what it took; what it lost is not more
    /// than what it paid in.
    function isAccounted() external view returns (bool) {
        for (uint256 i = 0; i < 3; i++) {
            (uint256 told, uint256 leaving) = escrow.accounts(i);
            if (int256(told) != int256(paidIn[i]) + moved[i] - int256(paidOut[i])) return false;
            if (leaving > told || moved[i] < -int256(paidIn[i])) return false;
        }
        return true;
    }
}

/// A market beside the escrow: it lets members spend what they have, less what they announced and what they owe in periods
/// that are not settled, and the operator settles within its patience. Members do whatever they can.
contract PunctualHandler is EscrowWorld {
    uint256 public missed;
    mapping(uint256 period => int256[3]) private owes;

    constructor() {
        open(true);
        for (uint256 i = 0; i < 3; i++) {
            pay(i, 1000);
        }
    }

    function deposit(uint256 i, uint96 amount) external {
        pay(i % 3, amount % 1000);
    }

    function say(uint256 i, uint256 amount, bool isAll) external {
        announce(i % 3, isAll ? balance(i % 3) : amount % (balance(i % 3) + 1));
    }

    function take(uint256 i) public {
        vm.prank(member(i % 3));
        try escrow.withdraw() {} catch {}
    }

    function consume(uint256 i, uint256 amount, bool isAll) external {
        (uint256 from, uint256 to) = (i % 3, (i % 3 + 1) % 3);
        (uint256 period, int256 free) = (runningPeriod(), int256(escrow.spendable(from)));
        for (uint256 each = escrow.nextPeriod(); each <= period; each++) {
            if (owes[each][from] > 0) free -= owes[each][from];
        }
        if (free <= 0) return;
        amount = isAll ? uint256(free) : amount % (uint256(free) + 1);
        owes[period][from] += int256(amount);
        owes[period][to] -= int256(amount);
    }

    /// Time goes on by hours, so that a run sees many periods; what would be overdue is settled first.
    function wait(uint256 later) external {
        uint256 time = block.timestamp + (1 + later % 4) * 6 hours;
        while (escrow.endOf(escrow.nextPeriod()) + PATIENCE <= time) {
            settleNext();
        }
        if (time > block.timestamp) vm.warp(time);
    }

    /// And members are at the door.
    function settleWhatIsOver() external {
        if (escrow.endOf(escrow.nextPeriod()) <= block.timestamp) settleNext();
        for (uint256 i = 0; i < 3; i++) {
            take(i);
        }
    }

    function settleNext() private {
        int256[3] storage each = owes[escrow.nextPeriod()];
        for (uint256 i = 0; i < 3; i++) {
            if (each[i] > int256(balance(i))) missed += uint256(each[i]) - balance(i);
        }
        settle(positions(-each[0], -each[1], -each[2]), type(uint256).max);
    }

    function runningPeriod() private view returns (uint256) {
        return FIRST + (block.timestamp - BEGIN) / LENGTH;
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

    function invariant_nobody_loses_more_than_it_paid_in() public view {
        require(handlers[0].isAccounted() && handlers[1].isAccounted(), "an account does not follow from what was done");
    }
}

/// Where market and operator keep to their part, every period is covered, to the unit.
contract EscrowCoverInvariants {
    PunctualHandler private handler;

    function setUp() public {
        handler = new PunctualHandler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_every_period_is_covered() public view {
        require(handler.missed() == 0, "a period is not covered");
    }
}
