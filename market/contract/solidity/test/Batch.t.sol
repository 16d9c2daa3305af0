// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Batch, Interval} from "../Batch.sol";
import {BatchWorld} from "./BatchWorld.sol";
import {Carried, State} from "../Carried.sol";
import {Matching} from "../Matching.sol";
import {Roster} from "../Roster.sol";
import {BadRules, Rules} from "../Rules.sol";
import {Settlement} from "../Settlement.sol";
import {Signature} from "../Signatures.sol";
import {Words} from "../Words.sol";

contract BatchTest is BatchWorld {
    using Words for uint256;

    uint256 private constant GROUP_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function testFuzz_energy_and_money_are_conserved_however_much_is_delivered(uint256 seed, uint8 mechanism) public {
        open(mechanism % 4 + 1, 4, false);
        for (uint256 t = 0; t < 5; t++) {
            Interval memory interval = makeInterval(makeOrders(uint256(keccak256(abi.encode(seed, t)))));
            if (seed >> t & 1 == 1) curtail(interval, seed);
            bring(interval);
        }
    }

    /// Whatever words an operator may send: it is refused, or nothing is made or lost and nobody is overdrawn.
    function testFuzz_any_words_are_refused_or_balance(uint256[4] memory words, uint256[3] memory cuts, uint256[3] memory changes, uint64 losses)
        public
    {
        open(4, 4, false);
        bring(makeInterval(makeOrders(7)));
        Interval memory interval = makeInterval(makeOrders(words[0]));
        if (words[1] % 3 == 0) interval.orders[words[1] / 3 % 4] = words[2] % 2 == 0 ? words[3] : interval.orders[0];
        (interval.delivery.verdict, interval.delivery.losses) = (bytes32(uint256(1)), losses);
        interval.delivery.off = words[3] % 5 == 0;
        interval.delivery.cuts = pick(cuts, words[2] % 4, 0x0fff0007);
        interval.delivery.changes = pick(changes, words[2] / 4 % 4, uint256(0xfff) << 112 | uint256(0x8000000003ff) << 64 | 0x3ff0003);
        try batch.preview(interval, false) returns (State memory, uint256[] memory) {
            bring(interval);
        } catch {}
    }

    function pick(uint256[3] memory from, uint256 size, uint256 mask) private pure returns (uint256[] memory words) {
        words = new uint256[](size);
        for (uint256 k = 0; k < size && k < 3; k++) {
            words[k] = from[k] % 7 == 0 ? from[k] : from[k] & mask;
        }
    }

    function test_only_the_operator_brings_intervals() public {
        open(1, 4, false);
        Interval memory interval = makeInterval(makeOrders(1));
        vm.prank(address(0xBAD));
        vm.expectRevert(Batch.NotOperator.selector);
        batch.clear(interval);
        Signature[] memory signatures = sign(interval, 1);
        vm.prank(address(0xBAD));
        vm.expectRevert(Batch.NotOperator.selector);
        batch.clearSigned(interval, signatures);
    }

    function test_an_interval_is_settled_once_and_in_order() public {
        open(4, 4, false);
        Interval memory first = makeInterval(makeOrders(1));
        bring(first);
        vm.expectRevert(abi.encodeWithSelector(Batch.AnotherState.selector, batch.head(), Carried.headOf(first.state)));
        batch.clear(first);
        Interval memory later = makeInterval(makeOrders(2));
        later.state.tally += uint256(1) << 160;
        vm.expectRevert(abi.encodeWithSelector(Batch.AnotherState.selector, batch.head(), Carried.headOf(later.state)));
        batch.clear(later);
    }

    function testFuzz_no_state_but_the_last_is_taken(uint8 which, uint8 bit) public {
        open(4, 4, false);
        bring(makeInterval(makeOrders(1)));
        Interval memory interval = makeInterval(makeOrders(2));
        uint256 place = which % (4 + interval.state.lots.length + 2);
        uint256 flip = 1 << bit;
        if (place < 4) interval.state.houses[place] ^= flip;
        else if (place == 4) interval.state.pools ^= flip;
        else if (place == 5) interval.state.tally ^= flip;
        else interval.state.lots[place - 6] ^= flip;
        vm.expectRevert(abi.encodeWithSelector(Batch.AnotherState.selector, batch.head(), Carried.headOf(interval.state)));
        batch.clear(interval);
    }

    function test_orders_beyond_battery_wallet_and_surplus_are_refused() public {
        open(2, 4, false);
        uint256[] memory orders = new uint256[](4);
        uint256[6] memory bad = [
            order(-1000, 1, NO_LIMIT, 0, 0), // charges from the network
            order(0, 4001, NO_LIMIT, 0, 0), // faster than it can
            order(0, -2400, NO_LIMIT, 0, 0), // below the lower bound
            order(-9000, 0, NO_LIMIT, 1, 0), // more than the wallet covers
            order(1000, 0, NO_LIMIT, 1, 0), // asks though it has a surplus
            order(-1000, 0, NO_LIMIT, 3, 0) // asks for what there is not
        ];
        for (uint256 k = 0; k < bad.length; k++) {
            orders[2] = bad[k];
            vm.expectRevert(abi.encodeWithSelector(Matching.BadOrder.selector, 2));
            batch.clear(makeInterval(orders));
        }
        orders[2] = order(0, -2300, NO_LIMIT, 0, 0);
        bring(makeInterval(orders));
    }

    function sell() private returns (Interval memory interval) {
        open(2, 4, false);
        uint256[] memory orders = new uint256[](4);
        orders[0] = order(-1000, 0, NO_LIMIT, 1, 0);
        orders[1] = order(3000, -1000, NO_LIMIT, 0, 0);
        interval = makeInterval(orders); // rows: 1000 Wh from 1 to 0, 2000 Wh spilled
        interval.delivery.verdict = bytes32(uint256(1));
    }

    function test_what_is_curtailed_is_not_paid() public {
        Interval memory interval = sell();
        interval.delivery.cuts = one(uint256(400) << 16);
        bring(interval);
        int256 price = 166_666; // U/3 + (U - U/3)/2
        check(state.houses[0].signed(64, 64) == 2_000_000_000 - 400 * price, "the buyer pays what it got");
        check(state.houses[1].signed(64, 64) == 400 * price, "the seller gets that");
        check(state.houses[0].signed(128, 64) == -600 * int256(uint256(UTILITY)), "the grid serves the rest");
    }

    function test_what_a_battery_was_to_sell_it_keeps() public {
        Interval memory interval = sell();
        interval.delivery.cuts = one(uint256(400) << 16);
        interval.delivery.changes = one(1 | ((1 << 48) - 600) << 64);
        bring(interval);
        check(state.houses[1].signed(0, 64) == 3000 - 431, "only 400 Wh were taken, and not a Wh for what was not sold");
    }

    function one(uint256 word) private pure returns (uint256[] memory words) {
        words = new uint256[](1);
        words[0] = word;
    }

    function test_nothing_but_what_was_cleared_can_be_delivered() public {
        Interval memory interval = sell();
        uint256[4] memory bad = [uint256(1001) << 16, 2, 7, 1 << 64];
        for (uint256 k = 0; k < bad.length; k++) {
            interval.delivery.cuts = one(bad[k]);
            vm.expectRevert(abi.encodeWithSelector(Settlement.BadCut.selector, bad[k] & 0xffff));
            batch.clear(interval);
        }
        interval.delivery.cuts = new uint256[](2); // the same exchange twice
        vm.expectRevert(abi.encodeWithSelector(Settlement.BadCut.selector, 0));
        batch.clear(interval);
    }

    function test_an_operator_moves_no_more_than_was_cut() public {
        Interval memory interval = sell();
        interval.delivery.cuts = one(uint256(400) << 16);
        uint256[5] memory bad = [
            1 | 601 << 16, // the battery absorbs more than is left
            1 | uint256(1) << 64, // it is emptied where nothing is missing
            1 | ((1 << 48) - 1001) << 64, // more is kept than it was to give
            uint256(601) << 64, // it gives more than is missing
            uint256(601) << 112 // more is shed than is imported
        ];
        for (uint256 k = 0; k < bad.length; k++) {
            interval.delivery.changes = one(bad[k]);
            vm.expectRevert(abi.encodeWithSelector(Settlement.BadChange.selector, bad[k] & 0xffff));
            batch.clear(interval);
        }
        interval.delivery.changes = one(9);
        vm.expectRevert(abi.encodeWithSelector(Settlement.BadChange.selector, 9));
        batch.clear(interval);
    }

    function test_nothing_is_curtailed_without_a_verdict() public {
        Interval memory interval = sell();
        interval.delivery.verdict = 0;
        interval.delivery.cuts = one(uint256(400) << 16);
        vm.expectRevert(Settlement.NoVerdict.selector);
        batch.clear(interval);
        (interval.delivery.cuts, interval.delivery.off) = (new uint256[](0), true);
        vm.expectRevert(Settlement.NoVerdict.selector);
        batch.clear(interval);
    }

    function test_a_battery_is_not_filled_beyond_its_ratings() public {
        open(2, 4, false);
        uint256[] memory orders = new uint256[](4);
        orders[0] = order(-5000, 0, NO_LIMIT, 1, 0);
        orders[1] = order(5000, 3000, NO_LIMIT, 0, 0);
        Interval memory interval = makeInterval(orders);
        (interval.delivery.verdict, interval.delivery.cuts) = (bytes32(uint256(1)), one(0));
        interval.delivery.changes = one(1 | 1001 << 16);
        vm.expectRevert(abi.encodeWithSelector(Settlement.BeyondRatings.selector, 1));
        batch.clear(interval);
        interval.delivery.changes = one(1 | 1000 << 16);
        bring(interval);
    }

    function test_a_feeder_switched_off_settles_nothing() public {
        Interval memory interval = sell();
        interval.delivery.off = true;
        interval.delivery.changes = one(uint256(1000) << 112);
        State memory before = state;
        bring(interval);
        for (uint256 i = 0; i < n; i++) {
            check(state.houses[i] >> 64 == before.houses[i] >> 64, "money has moved");
        }
        interval = makeInterval(new uint256[](4));
        (interval.delivery.verdict, interval.delivery.off, interval.delivery.cuts) = (bytes32(uint256(1)), true, one(0));
        vm.expectRevert(abi.encodeWithSelector(Settlement.BadCut.selector, 0));
        batch.clear(interval);
    }

    // ------------------------------------------------------------------------------------------------ signatures

    function sign(Interval memory interval, uint256 number) private view returns (Signature[] memory signatures) {
        signatures = new Signature[](n);
        for (uint256 i = 0; i < n; i++) {
            interval.orders[i] = interval.orders[i] & type(uint200).max | number << 200;
            signatures[i] = signOne(key(i), interval, i);
        }
    }

    function signOne(uint256 with, Interval memory interval, uint256 house) private view returns (Signature memory) {
        bytes32 digest = batch.orderDigest(interval.state.tally >> 160, interval.utility, house, interval.orders[house]);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(with, digest);
        return Signature(r, bytes32(uint256(s) | uint256(v - 27) << 255));
    }

    function signed(uint256 number) private returns (Interval memory interval, Signature[] memory signatures) {
        if (address(batch) == address(0)) open(4, 4, true);
        interval = makeInterval(makeOrders(number));
        signatures = sign(interval, number);
    }

    function refuse(Interval memory interval, Signature[] memory signatures, uint256 house) private {
        vm.expectRevert(abi.encodeWithSelector(Batch.NotSigned.selector, house));
        batch.clearSigned(interval, signatures);
    }

    function test_signed_orders_settle_and_only_they() public {
        (Interval memory interval, Signature[] memory signatures) = signed(5);
        vm.expectRevert(Batch.SignaturesRequired.selector);
        batch.clear(interval);
        (State memory next,) = batch.preview(interval, true);
        batch.clearSigned(interval, signatures);
        check(batch.head() == Carried.headOf(next), "another state");
        for (uint256 i = 0; i < n; i++) {
            check(next.houses[i] >> 192 == 5, "the number is kept");
        }
    }

    function testFuzz_no_changed_order_passes(uint8 house, uint8 bit) public {
        (Interval memory interval, Signature[] memory signatures) = signed(1 << 30);
        uint256 i = house % n;
        interval.orders[i] ^= 1 << (bit % 230);
        refuse(interval, signatures, i);
    }

    function testFuzz_no_changed_signature_passes(uint8 house, uint8 bit, bool ofR) public {
        (Interval memory interval, Signature[] memory signatures) = signed(1);
        uint256 i = house % n;
        if (ofR) signatures[i].r ^= bytes32(1 << bit);
        else signatures[i].vs ^= bytes32(1 << bit);
        refuse(interval, signatures, i);
    }

    function test_strangers_and_neighbours_cannot_sign() public {
        (Interval memory interval, Signature[] memory signatures) = signed(1);
        signatures[2] = signOne(key(3), interval, 2);
        refuse(interval, signatures, 2);
        signatures[2] = signatures[3];
        refuse(interval, signatures, 2);
        signatures[2] = Signature(0, 0);
        refuse(interval, signatures, 2);
    }

    function test_the_tariff_is_signed_too() public {
        (Interval memory interval, Signature[] memory signatures) = signed(1);
        interval.utility -= 1;
        refuse(interval, signatures, 0);
    }

    function test_a_second_signature_made_of_a_first_is_refused() public {
        (Interval memory interval, Signature[] memory signatures) = signed(1);
        uint256 s = uint256(signatures[1].vs) & type(uint256).max >> 1;
        uint256 v = uint256(signatures[1].vs) >> 255;
        // -s with the other v is as valid to the curve; it has no place in 255 bits, or is above the half.
        signatures[1].vs = bytes32((GROUP_ORDER - s) & type(uint256).max >> 1 | (1 - v) << 255);
        refuse(interval, signatures, 1);
        signatures[1].vs = bytes32(GROUP_ORDER - s);
        refuse(interval, signatures, 1);
    }

    function test_signatures_of_another_contract_or_chain_are_refused() public {
        (Interval memory interval, Signature[] memory signatures) = signed(1);
        vm.chainId(5);
        refuse(interval, signatures, 0);
        vm.chainId(31337);
        Batch first = batch;
        open(4, 4, true);
        check(address(first) != address(batch), "another contract");
        refuse(interval, signatures, 0);
    }

    function test_orders_of_an_interval_are_not_played_again() public {
        (Interval memory interval, Signature[] memory signatures) = signed(1);
        (State memory next,) = batch.preview(interval, true);
        batch.clearSigned(interval, signatures);
        state = next;
        interval.state = next;
        vm.expectRevert(abi.encodeWithSelector(Batch.OldOrder.selector, 0));
        batch.clearSigned(interval, signatures);
        for (uint256 i = 0; i < n; i++) {
            interval.orders[i] = interval.orders[i] & type(uint200).max | 2 << 200;
        }
        refuse(interval, signatures, 0);
    }

    function test_a_silent_house_is_served_by_the_grid_and_no_more() public {
        (Interval memory interval, Signature[] memory signatures) = signed(1);
        uint256[2] memory wanted = [order(-100, 0, NO_LIMIT, 1, 0), order(-100, -1, NO_LIMIT, 0, 0)];
        for (uint256 k = 0; k < 2; k++) {
            interval.orders[0] = wanted[k];
            vm.expectRevert(abi.encodeWithSelector(Batch.NotWanted.selector, 0));
            batch.clearSigned(interval, signatures);
        }
        interval.orders[0] = order(-100, 0, NO_LIMIT, 0, 0);
        batch.clearSigned(interval, signatures);
    }

    function test_counts_of_orders_and_signatures() public {
        (Interval memory interval, Signature[] memory signatures) = signed(1);
        vm.expectRevert(abi.encodeWithSelector(Batch.WrongCount.selector, 4, 3));
        batch.clearSigned(interval, new Signature[](3));
        interval.orders = new uint256[](3);
        vm.expectRevert(abi.encodeWithSelector(Batch.WrongCount.selector, 3, 4));
        batch.clearSigned(interval, signatures);
        vm.expectRevert(abi.encodeWithSelector(Batch.WrongCount.selector, 4, 3));
        batch.preview(interval, false);
    }

    // ----------------------------------------------------------------------------------------------- constructor

    function build(Rules memory r, address[] memory members, uint256[] memory words, State memory opening) private {
        new Batch(r, false, members, words, opening);
    }

    function test_what_no_market_can_begin_with_is_refused() public {
        address[] memory members = new address[](1);
        members[0] = address(1);
        uint256[] memory words = one(makeRatings());
        State memory opening = State(one(3000), new uint256[](0), 0, 0);
        build(makeRules(4), members, words, opening);
        vm.expectRevert(BadRules.selector);
        build(makeRules(5), members, words, opening);
        vm.expectRevert(Batch.BadMembers.selector);
        build(makeRules(4), new address[](1), words, opening);
        vm.expectRevert(abi.encodeWithSelector(Batch.WrongCount.selector, 1, 0));
        build(makeRules(4), members, new uint256[](0), opening);
        vm.expectRevert(abi.encodeWithSelector(Carried.BadRatings.selector, 0));
        build(makeRules(4), members, one(makeRatings() ^ uint256(930_000) << 180), opening);
        uint256[4] memory bad = [uint256(1) << 63, uint256(1) << 127, uint256(1) << 224, 0];
        for (uint256 k = 0; k < 3; k++) {
            vm.expectRevert(Carried.BadState.selector);
            build(makeRules(4), members, words, State(one(bad[k]), new uint256[](0), 0, 0));
        }
        uint256[3] memory lots = [uint256(1), 1 | uint256(5) << 64 | 1 << 48, 1 | uint256(5) << 64 | 0xfffd << 32];
        for (uint256 k = 0; k < 3; k++) {
            vm.expectRevert(Carried.BadState.selector);
            build(makeRules(4), members, words, State(one(0), one(lots[k]), 0, 2));
        }
        build(makeRules(4), members, words, State(one(0), one(1 | uint256(5) << 64), 0, 2));
    }

    function test_members_and_batteries_can_be_read() public {
        open(4, 3, false);
        address[] memory members = batch.members();
        uint256[] memory words = batch.ratingsOf();
        for (uint256 i = 0; i < 3; i++) {
            check(members[i] == vm.addr(key(i)) && words[i] == makeRatings(), "another member");
        }
        uint256 many = 471;
        State memory opening = State(new uint256[](many), new uint256[](0), 0, 0);
        words = new uint256[](many);
        members = new address[](many);
        for (uint256 i = 0; i < many; i++) {
            (words[i], members[i]) = (makeRatings(), address(1));
        }
        vm.expectRevert(abi.encodeWithSelector(Roster.TooManyMembers.selector, many));
        build(makeRules(4), members, words, opening);
    }
}
