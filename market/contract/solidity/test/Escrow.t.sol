// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Escrow} from "../Escrow.sol";
import {Manner, Taker, Token} from "./Tokens.sol";

interface EscrowCheats {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function prank(address sender) external;
    function deal(address to, uint256 amount) external;
    function warp(uint256 timestamp) external;
    function expectRevert(bytes calldata reason) external;
    function expectRevert(bytes4 reason) external;
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory);
}

abstract contract EscrowWorld {
    EscrowCheats internal constant vm = EscrowCheats(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint64 internal constant FIRST = 10;
    uint64 internal constant BEGIN = 1_000_000;
    uint64 internal constant LENGTH = 1 days;
    uint64 internal constant PATIENCE = 3 days;

    Token internal token;
    Escrow internal escrow;

    receive() external payable {}

    function check(bool condition, string memory what) internal pure {
        require(condition, what);
    }

    function member(uint256 i) internal pure returns (address) {
        return address(uint160(0xA000 + i));
    }

    function clock() internal pure returns (Escrow.Clock memory) {
        return Escrow.Clock(FIRST, BEGIN, LENGTH, PATIENCE);
    }

    function open(bool ether_) internal {
        vm.warp(BEGIN);
        address[] memory members = new address[](3);
        (members[0], members[1], members[2]) = (member(0), member(1), member(2));
        token = new Token(Manner.TRUE);
        token.mint(address(this), 1e30);
        vm.deal(address(this), 1e30);
        escrow = new Escrow(ether_ ? address(0) : address(token), clock(), members);
    }

    function pay(uint256 i, uint256 amount) internal {
        escrow.deposit{value: escrow.token() == address(0) ? amount : 0}(i, amount);
    }

    function positions(int256 a, int256 b, int256 c) internal pure returns (int256[] memory net) {
        net = new int256[](3);
        (net[0], net[1], net[2]) = (a, b, c);
    }

    function balance(uint256 i) internal view returns (uint256 amount) {
        (amount,) = escrow.accounts(i);
    }

    function held() internal view returns (uint256) {
        return escrow.token() == address(0) ? address(escrow).balance : token.balanceOf(address(escrow));
    }

    function announce(uint256 i, uint256 amount) internal {
        vm.prank(member(i));
        escrow.announce(amount);
    }

    function withdraw(uint256 i) internal {
        vm.prank(member(i));
        escrow.withdraw();
    }

    /// The next period is over, and settled.
    function settle(int256[] memory net) internal {
        settle(net, 0);
    }

    function settle(int256[] memory net, uint256 mayMiss) internal {
        uint256 period = escrow.nextPeriod();
        if (block.timestamp < escrow.endOf(period)) vm.warp(escrow.endOf(period));
        escrow.settle(period, "source", net, mayMiss);
    }
}

contract EscrowTest is EscrowWorld {
    function test_a_period_moves_deposits_and_members_take_out_what_is_theirs() public {
        for (uint256 k = 0; k < 2; k++) {
            open(k == 0);
            pay(0, 100);
            pay(1, 50);
            settle(positions(-60, 20, 40));
            check(balance(0) == 40 && balance(1) == 70 && balance(2) == 40 && held() == 150, "other balances");
            announce(2, 40);
            settle(positions(0, 10, -10));
            withdraw(2);
            check((k == 0 ? member(2).balance : token.balanceOf(member(2))) == 30, "not paid out");
            check(balance(2) == 0 && held() == 120, "not taken off");
            vm.deal(member(2), 0);
        }
    }

    function testFuzz_nobody_is_below_zero_and_every_period_adds_up(uint96[3] memory paid, int104 a, int104 b, int104 more)
        public
    {
        open(true);
        uint256 missing;
        int256[] memory net = positions(a, b, -int256(a) - b + (more % 3 == 0 ? int256(more) : int256(0)));
        for (uint256 i = 0; i < 3; i++) {
            pay(i, paid[i]);
            int256 after_ = int256(uint256(paid[i])) + net[i];
            if (after_ < 0) missing += uint256(-after_);
        }
        vm.warp(BEGIN + LENGTH);
        try escrow.settle(FIRST, "source", net, missing) {
            check(net[0] + net[1] + net[2] == 0, "a period that does not add up is settled");
            for (uint256 i = 0; i < 3; i++) {
                int256 asked = int256(uint256(paid[i])) + net[i];
                int256 told = int256(balance(i));
                if (net[i] < 0) check(told == (asked < 0 ? int256(0) : asked), "another debt");
                else check(told <= asked && told >= int256(uint256(paid[i])), "more than is asked, or less than before");
                check(missing > 0 || told == asked, "less is paid though all is covered");
            }
        } catch {
            check(net[0] + net[1] + net[2] != 0, "a period that adds up is refused");
        }
        check(balance(0) + balance(1) + balance(2) == held(), "what is told is not what is there");
    }

    function testFuzz_what_is_missing_is_borne_pro_rata(uint96 cover, uint96 a, uint96 b) public {
        open(true);
        (uint256 owed, uint256 collected) = (uint256(a) + b, cover);
        if (collected > owed) collected = owed;
        pay(0, cover);
        settle(positions(-int256(owed), int256(uint256(a)), int256(uint256(b))), owed - collected);
        check(balance(0) == cover - collected && balance(1) + balance(2) == collected, "not all of it is given");
        for (uint256 i = 1; i < 3 && owed > 0; i++) {
            (uint256 exact, uint256 got) = ((i == 1 ? a : b) * collected, balance(i) * owed);
            check((exact > got ? exact - got : got - exact) < owed, "a unit off, or more");
        }
    }

    function test_who_is_not_covered_stops_nobody_else() public {
        open(true);
        pay(0, 100);
        pay(1, 20);
        vm.warp(BEGIN + LENGTH);
        vm.expectRevert(abi.encodeWithSelector(Escrow.NotCovered.selector, 30, 29));
        escrow.settle(10, "source", positions(-60, -50, 110), 29);
        check(escrow.nextPeriod() == 10 && balance(0) == 100, "something moved");
        vm.recordLogs();
        escrow.settle(10, "source", positions(-60, -50, 110), 30);
        EscrowCheats.Log[] memory logs = vm.getRecordedLogs();
        check(balance(0) == 40 && balance(1) == 0 && balance(2) == 80, "other balances");
        check(logs.length == 3, "not told once each");
        checkMissing(logs[0], Escrow.Uncovered.selector, 1);
        checkMissing(logs[1], Escrow.Borne.selector, 2);
        settle(positions(-40, 40, 0));
        check(balance(1) == 40, "the next period is not settled");
    }

    function checkMissing(EscrowCheats.Log memory log, bytes32 event_, uint256 i) private pure {
        check(log.topics[0] == event_ && log.topics[1] == bytes32(uint256(10)), "another event");
        check(log.topics[2] == bytes32(i) && abi.decode(log.data, (uint256)) == 30, "another one's, or another amount");
    }

    function test_what_is_owed_is_taken_of_what_is_leaving_too() public {
        open(true);
        pay(0, 100);
        announce(0, 70);
        check(escrow.spendable(0) == 30, "what is announced may be spent");
        settle(positions(-60, 60, 0));
        check(escrow.spendable(0) == 0, "more than there is");
        pay(0, 10);
        check(escrow.spendable(0) == 10, "what is paid in later is leaving");
        withdraw(0);
        check(member(0).balance == 40 && balance(0) == 10, "other than what was left");
    }

    function test_periods_that_do_not_fit_are_refused_by_name() public {
        open(true);
        pay(0, 100);
        vm.warp(BEGIN + LENGTH);
        vm.expectRevert(abi.encodeWithSelector(Escrow.NotBalanced.selector, int256(1)));
        escrow.settle(10, "source", positions(-99, 100, 0), 0);
        vm.expectRevert(abi.encodeWithSelector(Escrow.WrongCount.selector, 3, 2));
        escrow.settle(10, "source", new int256[](2), 0);
        int256 most = int256(uint256(type(uint128).max));
        expectTooMuch(uint256(most) + 1);
        escrow.settle(10, "source", positions(0, most + 1, -most - 1), type(uint256).max);
        expectTooMuch(1 << 255);
        escrow.settle(10, "source", positions(type(int256).min, 0, 0), type(uint256).max);
        expectTooMuch(uint256(most) + 1);
        escrow.settle(10, "source", positions(-1, -most, most + 1), type(uint256).max);
        escrow.enroll(member(3));
        int256[] memory four = new int256[](4);
        (four[0], four[1], four[2], four[3]) = (-100, -most, 100, most);
        expectTooMuch(uint256(most) + 100);
        escrow.settle(10, "source", four, type(uint256).max);
    }

    function expectTooMuch(uint256 got) private {
        vm.expectRevert(abi.encodeWithSelector(Escrow.TooMuch.selector, type(uint128).max, got));
    }

    function test_periods_are_settled_once_in_order_and_not_before_they_are_over() public {
        open(true);
        uint256[2] memory wrong = [uint256(9), 11];
        for (uint256 k = 0; k < 2; k++) {
            vm.expectRevert(abi.encodeWithSelector(Escrow.WrongPeriod.selector, 10, wrong[k]));
            escrow.settle(wrong[k], "source", positions(0, 0, 0), 0);
        }
        for (uint256 k = 0; k < 2; k++) {
            vm.warp(BEGIN + LENGTH - 1 - k * LENGTH); // the second time before the first period begins
            vm.expectRevert(abi.encodeWithSelector(Escrow.NotOver.selector, 10, BEGIN + LENGTH));
            escrow.settle(10, "source", positions(0, 0, 0), 0);
            check(escrow.running() == 10, "another period is running");
        }
        settle(positions(0, 0, 0));
        check(escrow.running() == 11, "the next period does not run");
        vm.expectRevert(abi.encodeWithSelector(Escrow.WrongPeriod.selector, 11, 10));
        escrow.settle(10, "source", positions(0, 0, 0), 0);
    }

    function test_a_clock_that_cannot_work_is_refused() public {
        vm.warp(BEGIN);
        (uint64 year, uint64 day) = (366 days, 1 days);
        Escrow.Clock[8] memory wrong = [
            Escrow.Clock(FIRST, BEGIN, 0, PATIENCE),
            Escrow.Clock(FIRST, BEGIN, 30 * day, 31 * day - 1),
            Escrow.Clock(FIRST, BEGIN, 30 * day, 7 * day),
            Escrow.Clock(FIRST, BEGIN, 30 * day, year + 1),
            Escrow.Clock(FIRST, BEGIN + year + 1, 30 * day, 60 * day),
            Escrow.Clock(FIRST, BEGIN - 4 * day, day, 3 * day), // the first period is overdue
            Escrow.Clock(FIRST, 0, 1, day + 1),
            Escrow.Clock(FIRST, type(uint64).max, type(uint64).max, type(uint64).max)
        ];
        for (uint256 k = 0; k < 8; k++) {
            (uint64 begin, uint64 length, uint64 patience) = (wrong[k].begin, wrong[k].length, wrong[k].patience);
            vm.expectRevert(abi.encodeWithSelector(Escrow.BadClock.selector, begin, length, patience));
            new Escrow(address(0), wrong[k], new address[](0));
        }
        new Escrow(address(0), Escrow.Clock(FIRST, BEGIN + year, year - day, year), new address[](0));
        new Escrow(address(0), Escrow.Clock(FIRST, BEGIN - 4 * day + 1, day, 3 * day), new address[](0));
        new Escrow(address(0), Escrow.Clock(FIRST, BEGIN, 1, day + 1), new address[](0));
    }

    function test_only_the_operator_settles_and_enrolls() public {
        open(true);
        vm.prank(member(0));
        vm.expectRevert(Escrow.NotOperator.selector);
        escrow.settle(10, "source", positions(0, 0, 0), 0);
        vm.prank(member(0));
        vm.expectRevert(Escrow.NotOperator.selector);
        escrow.enroll(member(7));
        escrow.enroll(member(7));
        check(escrow.ownerOf(3) == member(7) && escrow.count() == 4, "not enrolled");
        vm.expectRevert(abi.encodeWithSelector(Escrow.BadMember.selector, member(7)));
        escrow.enroll(member(7));
        vm.expectRevert(abi.encodeWithSelector(Escrow.BadMember.selector, address(0)));
        escrow.enroll(address(0));
    }

    function test_strangers_have_nothing_here() public {
        open(true);
        vm.prank(address(0xBAD));
        vm.expectRevert(abi.encodeWithSelector(Escrow.NotMember.selector, address(0xBAD)));
        escrow.withdraw();
        vm.prank(address(0xBAD));
        vm.expectRevert(abi.encodeWithSelector(Escrow.NotMember.selector, address(0xBAD)));
        escrow.announce(0);
        vm.expectRevert(abi.encodeWithSelector(Escrow.NotMember.selector, address(this)));
        escrow.deposit{value: 1}(3, 1);
    }

    function refuse(uint256 i, uint256 period, uint256 time) private {
        vm.prank(member(i));
        vm.expectRevert(abi.encodeWithSelector(Escrow.TooEarly.selector, period, time));
        escrow.withdraw();
    }

    function test_nobody_leaves_before_the_running_period_is_settled() public {
        open(true);
        pay(0, 100);
        announce(0, 100);
        refuse(0, 10, BEGIN + LENGTH + PATIENCE);
        settle(positions(-70, 70, 0));
        withdraw(0);
        check(member(0).balance == 30, "what was owed was taken out");
    }

    /// Periods are months: a member consumes in the first week, announces then, and would be gone on day 15.
    function test_who_consumes_in_a_long_period_stays_until_it_is_settled() public {
        open(true);
        address[] memory members = new address[](3);
        (members[0], members[1], members[2]) = (member(0), member(1), member(2));
        escrow = new Escrow(address(0), Escrow.Clock(FIRST, BEGIN, 30 days, 60 days), members);
        pay(0, 10);
        pay(1, 10);
        vm.warp(BEGIN + 8 days);
        announce(1, 10);
        uint64[3] memory times = [BEGIN + 15 days, BEGIN + 30 days, BEGIN + 90 days - 1];
        for (uint256 k = 0; k < 3; k++) {
            vm.warp(times[k]);
            refuse(1, 10, BEGIN + 90 days);
        }
        settle(positions(9, -9, 0));
        withdraw(1);
        check(member(1).balance == 1 && balance(0) == 19, "the month is not paid");
    }

    /// A period is over and not settled, the next one is running: who consumes in it and announces answers for it, too.
    function test_who_announces_before_yesterday_is_settled_answers_for_today() public {
        open(true);
        pay(0, 10);
        pay(1, 10);
        vm.warp(BEGIN + LENGTH + 9 hours);
        announce(1, 10);
        settle(positions(0, 0, 0));
        refuse(1, 11, BEGIN + 2 * LENGTH + PATIENCE);
        settle(positions(9, -9, 0));
        withdraw(1);
        check(member(1).balance == 1 && balance(0) == 19, "today is not paid");
    }

    function test_an_operator_that_is_gone_keeps_nothing() public {
        open(true);
        pay(0, 100);
        vm.warp(BEGIN + LENGTH / 2);
        announce(0, 60);
        vm.warp(BEGIN + LENGTH + PATIENCE - 1);
        refuse(0, 10, BEGIN + LENGTH + PATIENCE);
        vm.warp(BEGIN + LENGTH + PATIENCE);
        withdraw(0);
        check(member(0).balance == 60 && balance(0) == 40, "kept");
        withdraw(0);
        check(member(0).balance == 60, "withdrawn twice");
        vm.prank(member(0));
        vm.expectRevert(abi.encodeWithSelector(Escrow.TooMuch.selector, 40, 41));
        escrow.announce(41);
        settle(positions(-50, 50, 0), 10);
        check(balance(0) == 0 && balance(1) == 40, "an operator that is back cannot settle");
    }

    function test_ether_is_what_is_said() public {
        open(true);
        vm.expectRevert(abi.encodeWithSelector(Escrow.WrongValue.selector, 10, 9));
        escrow.deposit{value: 9}(0, 10);
        (bool sent,) = address(escrow).call{value: 1}("");
        check(!sent, "ether of nobody");
        open(false);
        vm.expectRevert(abi.encodeWithSelector(Escrow.WrongValue.selector, 0, 9));
        escrow.deposit{value: 9}(0, 9);
        vm.deal(address(this), 1e30);
        Escrow endless = new EndlessEscrow();
        vm.expectRevert(abi.encodeWithSelector(Escrow.TooMuch.selector, type(uint128).max, uint256(1) << 128));
        endless.deposit(0, 1 << 128);
        endless.deposit(0, 1 << 127);
        expectTooMuch(1 << 128);
        endless.deposit(1, 1 << 127); // into another account, from which a period could move it
    }

    function test_tokens_that_are_no_tokens_are_refused_by_name() public {
        vm.expectRevert(abi.encodeWithSelector(Escrow.NoToken.selector, address(7)));
        new Escrow(address(7), clock(), new address[](0));
        open(false);
        Manner[3] memory refused = [Manner.FALSE, Manner.TWO, Manner.REVERTS];
        for (uint256 k = 0; k < 3; k++) {
            token.behave(refused[k]);
            vm.expectRevert(abi.encodeWithSelector(Escrow.TokenRefused.selector, address(token)));
            escrow.deposit(0, 1000);
        }
        token.behave(Manner.FEE);
        vm.expectRevert(abi.encodeWithSelector(Escrow.TokenTakesFees.selector, 1000, 990));
        escrow.deposit(0, 1000);
        token.behave(Manner.MOVES_NOTHING);
        vm.expectRevert(abi.encodeWithSelector(Escrow.TokenTakesFees.selector, 1000, 0));
        escrow.deposit(0, 1000);
        token.behave(Manner.NOTHING);
        escrow.deposit(0, 1000);
        announce(0, 1000);
        settle(positions(0, 0, 0));
        token.behave(Manner.FALSE);
        vm.prank(member(0));
        vm.expectRevert(abi.encodeWithSelector(Escrow.TokenRefused.selector, address(token)));
        escrow.withdraw();
        check(balance(0) == 1000, "what was not paid out is not taken off");
        token.behave(Manner.NOTHING);
        withdraw(0);
        check(token.balanceOf(member(0)) == 1000, "not paid out");
    }

    function test_a_hostile_token_cannot_enter_again() public {
        open(false);
        bytes[3] memory calls = [
            abi.encodeCall(Escrow.deposit, (1, 5)),
            abi.encodeCall(Escrow.withdraw, ()),
            abi.encodeCall(Escrow.settle, (10, bytes32("source"), positions(0, 0, 0), 0))
        ];
        // The token is a member and the operator at once: nothing but the guard stops it.
        address[] memory members = new address[](2);
        (members[0], members[1]) = (address(this), address(token));
        vm.prank(address(token));
        escrow = new Escrow(address(token), clock(), members);
        for (uint256 k = 0; k < 3; k++) {
            token.reenter(address(escrow), calls[k]);
            vm.expectRevert(abi.encodeWithSelector(Escrow.TokenRefused.selector, address(token)));
            escrow.deposit(0, 1000);
        }
        token.reenter(address(0), "");
        escrow.deposit(0, 1000);
        check(balance(0) == 1000 && held() == 1000, "after it the guard is open again");
    }

    function test_a_hostile_member_takes_out_once_and_hinders_nobody() public {
        open(true);
        Taker greedy = new Taker(Manner.TWO);
        Taker closed = new Taker(Manner.REVERTS);
        escrow.enroll(address(greedy));
        escrow.enroll(address(closed));
        pay(0, 500);
        pay(3, 100);
        pay(4, 100);
        greedy.run(address(escrow), abi.encodeCall(Escrow.announce, (100)));
        closed.run(address(escrow), abi.encodeCall(Escrow.announce, (100)));
        settle(new int256[](5));
        greedy.run(address(escrow), abi.encodeCall(Escrow.withdraw, ()));
        check(address(greedy).balance == 100 && held() == 600, "more than its own");
        vm.expectRevert(abi.encodeWithSelector(Escrow.EtherRefused.selector, address(closed)));
        closed.run(address(escrow), abi.encodeCall(Escrow.withdraw, ()));
        settle(new int256[](5));
        announce(0, 500);
        settle(new int256[](5));
        withdraw(0);
        check(held() == 100, "the others went on");
    }
}

/// Stands for an escrow whose token has more units than are counted.
contract EndlessEscrow is Escrow {
    constructor() Escrow(address(new Endless()), Clock(0, uint64(block.timestamp), 1 days, 3 days), list()) {}

    function list() private pure returns (address[] memory members) {
        members = new address[](2);
        (members[0], members[1]) = (address(1), address(2));
    }
}

contract Endless {
    mapping(address owner => uint256) public balanceOf;

    function transferFrom(address, address to, uint256 amount) external {
        balanceOf[to] += amount;
    }
}
