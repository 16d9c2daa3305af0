// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Escrow} from "../Escrow.sol";
import {Manner, Taker, Token} from "./Tokens.sol";

interface EscrowCheats {
    function prank(address sender) external;
    function deal(address to, uint256 amount) external;
    function warp(uint256 timestamp) external;
    function expectRevert(bytes calldata reason) external;
    function expectRevert(bytes4 reason) external;
}

abstract contract EscrowWorld {
    EscrowCheats internal constant vm = EscrowCheats(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint64 internal constant FIRST_DAY = 10;

    Token internal token;
    Escrow internal escrow;

    receive() external payable {}

    function check(bool condition, string memory what) internal pure {
        require(condition, what);
    }

    function member(uint256 i) internal pure returns (address) {
        return address(uint160(0xA000 + i));
    }

    function open(bool ether_) internal {
        address[] memory members = new address[](3);
        (members[0], members[1], members[2]) = (member(0), member(1), member(2));
        token = new Token(Manner.TRUE);
        token.mint(address(this), 1e30);
        vm.deal(address(this), 1e30);
        escrow = new Escrow(ether_ ? address(0) : address(token), FIRST_DAY, members);
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
}

contract EscrowTest is EscrowWorld {
    function test_a_day_moves_deposits_and_members_take_out_what_is_theirs() public {
        for (uint256 k = 0; k < 2; k++) {
            open(k == 0);
            pay(0, 100);
            pay(1, 50);
            escrow.settle(10, "source", positions(-60, 20, 40));
            check(balance(0) == 40 && balance(1) == 70 && balance(2) == 40 && held() == 150, "other balances");
            announce(2, 40);
            escrow.settle(11, "source", positions(0, 10, -10));
            withdraw(2);
            check((k == 0 ? member(2).balance : token.balanceOf(member(2))) == 30 * (k + 1) / (k + 1), "not paid out");
            check(balance(2) == 0 && held() == 120, "not taken off");
            vm.deal(member(2), 0);
        }
    }

    function testFuzz_nobody_is_below_zero_and_every_day_adds_up(uint96[3] memory paid, int104 a, int104 b, int104 more) public {
        open(true);
        for (uint256 i = 0; i < 3; i++) {
            pay(i, paid[i]);
        }
        int256[] memory net = positions(a, b, -int256(a) - b + (more % 3 == 0 ? int256(more) : int256(0)));
        bool fits = net[0] + net[1] + net[2] == 0;
        for (uint256 i = 0; i < 3; i++) {
            fits = fits && int256(uint256(paid[i])) + net[i] >= 0;
        }
        try escrow.settle(10, "source", net) {
            check(fits, "a day that does not fit is settled");
            for (uint256 i = 0; i < 3; i++) {
                check(int256(balance(i)) == int256(uint256(paid[i])) + net[i], "another balance");
            }
        } catch {
            check(!fits, "a day that fits is refused");
        }
        check(balance(0) + balance(1) + balance(2) == held(), "what is told is not what is there");
    }

    function test_days_that_do_not_fit_are_refused_by_name() public {
        open(true);
        pay(0, 100);
        vm.expectRevert(abi.encodeWithSelector(Escrow.Overdrawn.selector, 0, 100, int256(-101)));
        escrow.settle(10, "source", positions(-101, 101, 0));
        vm.expectRevert(abi.encodeWithSelector(Escrow.NotBalanced.selector, int256(1)));
        escrow.settle(10, "source", positions(-99, 100, 0));
        vm.expectRevert(abi.encodeWithSelector(Escrow.WrongCount.selector, 3, 2));
        escrow.settle(10, "source", new int256[](2));
        vm.expectRevert(abi.encodeWithSelector(Escrow.TooMuch.selector, type(uint128).max, uint256(type(int256).max)));
        escrow.settle(10, "source", positions(-100, type(int256).max, type(int256).max));
        int256 much = int256(uint256(type(uint128).max));
        vm.expectRevert(abi.encodeWithSelector(Escrow.TooMuch.selector, type(uint128).max, uint256(much) + 1));
        escrow.settle(10, "source", positions(0, much + 1, -much - 1));
    }

    function test_days_are_settled_once_and_in_order() public {
        open(true);
        uint256[2] memory wrong = [uint256(9), 11];
        for (uint256 k = 0; k < 2; k++) {
            vm.expectRevert(abi.encodeWithSelector(Escrow.WrongDay.selector, 10, wrong[k]));
            escrow.settle(wrong[k], "source", positions(0, 0, 0));
        }
        escrow.settle(10, "source", positions(0, 0, 0));
        vm.expectRevert(abi.encodeWithSelector(Escrow.WrongDay.selector, 11, 10));
        escrow.settle(10, "source", positions(0, 0, 0));
    }

    function test_only_the_operator_settles_and_enrolls() public {
        open(true);
        vm.prank(member(0));
        vm.expectRevert(Escrow.NotOperator.selector);
        escrow.settle(10, "source", positions(0, 0, 0));
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

    function test_nobody_leaves_before_the_running_day_is_settled() public {
        open(true);
        pay(0, 100);
        announce(0, 100);
        uint256 end = block.timestamp + escrow.PATIENCE();
        vm.prank(member(0));
        vm.expectRevert(abi.encodeWithSelector(Escrow.TooEarly.selector, 10, end));
        escrow.withdraw();
        escrow.settle(10, "source", positions(-70, 70, 0));
        withdraw(0);
        check(member(0).balance == 30, "what was owed was taken out");
    }

    function test_an_operator_that_is_gone_keeps_nothing() public {
        open(true);
        pay(0, 100);
        announce(0, 60);
        vm.warp(block.timestamp + escrow.PATIENCE());
        withdraw(0);
        check(member(0).balance == 60 && balance(0) == 40, "kept");
        withdraw(0);
        check(member(0).balance == 60, "withdrawn twice");
        vm.prank(member(0));
        vm.expectRevert(abi.encodeWithSelector(Escrow.TooMuch.selector, 40, 41));
        escrow.announce(41);
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
    }

    function test_tokens_that_are_no_tokens_are_refused_by_name() public {
        vm.expectRevert(abi.encodeWithSelector(Escrow.NoToken.selector, address(7)));
        new Escrow(address(7), 0, new address[](0));
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
        escrow.settle(10, "source", positions(0, 0, 0));
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
            abi.encodeCall(Escrow.settle, (10, bytes32("source"), positions(0, 0, 0)))
        ];
        // The token is a member and the operator at once: nothing but the guard stops it.
        address[] memory members = new address[](2);
        (members[0], members[1]) = (address(this), address(token));
        vm.prank(address(token));
        escrow = new Escrow(address(token), FIRST_DAY, members);
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
        escrow.settle(10, "source", new int256[](5));
        greedy.run(address(escrow), abi.encodeCall(Escrow.withdraw, ()));
        check(address(greedy).balance == 100 && held() == 600, "more than its own");
        vm.expectRevert(abi.encodeWithSelector(Escrow.EtherRefused.selector, address(closed)));
        closed.run(address(escrow), abi.encodeCall(Escrow.withdraw, ()));
        escrow.settle(11, "source", new int256[](5));
        announce(0, 500);
        escrow.settle(12, "source", new int256[](5));
        withdraw(0);
        check(held() == 100, "the others went on");
    }
}

/// Stands for an escrow whose token has more units than are counted.
contract EndlessEscrow is Escrow {
    constructor() Escrow(address(new Endless()), 0, list()) {}

    function list() private pure returns (address[] memory members) {
        members = new address[](1);
        members[0] = address(1);
    }
}

contract Endless {
    mapping(address owner => uint256) public balanceOf;

    function transferFrom(address, address to, uint256 amount) external {
        balanceOf[to] += amount;
    }
}
