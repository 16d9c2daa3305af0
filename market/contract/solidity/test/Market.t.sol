// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Market} from "../Market.sol";
import {Matching} from "../Matching.sol";
import {Battery, Holding, Records, Wish} from "../Records.sol";
import {BadRules, Rules} from "../Rules.sol";
import {MarketCheats, MarketWorld} from "./MarketWorld.sol";

contract MarketTest is MarketWorld {
    uint256 private constant KEY = 0xA11CE;
    uint32 private constant MOST = type(uint32).max;

    int256[] private given;
    int256[] private taken;
    int256 private stored;

    function setUp() public {
        open(makeRules(4), 4, false);
    }

    // Who may do what, and when.

    /// The same as a call of its own, which a test can expect to fail.
    function tryMake(Rules memory r, Market.Gates memory gates) external returns (Market) {
        return make(r, gates);
    }

    function testFuzz_only_the_operator_registers_and_quotes(address stranger) public {
        vm.assume(stranger != address(this));
        Battery memory battery = makeBattery();
        vm.prank(stranger);
        vm.expectRevert(Market.OnlyOperator.selector);
        market.register(address(9), battery, 0, 0);
        vm.prank(stranger);
        vm.expectRevert(Market.OnlyOperator.selector);
        market.quote(new uint32[](1));
    }

    function testFuzz_only_members_order(address stranger) public {
        vm.assume(uint160(stranger) < 0xA000 || uint160(stranger) > 0xA003);
        vm.prank(stranger);
        vm.expectRevert(Market.OnlyMembers.selector);
        market.submit(0, Wish(0, 0, 0, -1));
    }

    function test_a_member_is_registered_once_and_is_somebody() public {
        vm.expectRevert(abi.encodeWithSelector(Market.AlreadyMember.selector, member(0)));
        market.register(member(0), makeBattery(), 0, 0);
        vm.expectRevert(Market.OnlyMembers.selector);
        market.register(address(0), makeBattery(), 0, 0);
    }

    function test_an_order_comes_once_an_interval_even_in_the_first() public {
        submit(1, Wish(100, 0, 0, -1));
        vm.prank(member(1));
        vm.expectRevert(abi.encodeWithSelector(Market.OnlyOnce.selector, 1, 0));
        market.submit(0, Wish(200, 0, 0, -1));
    }

    function test_an_order_for_another_interval_is_refused() public {
        vm.prank(member(1));
        vm.expectRevert(abi.encodeWithSelector(Market.NotTakingOrders.selector, 1, 0));
        market.submit(1, Wish(100, 0, 0, -1));
    }

    function test_nobody_clears_while_somebody_may_still_order() public {
        submit(0, Wish(100, 0, 0, -1));
        vm.warp(FIRST_GATE - 1);
        vm.expectRevert(abi.encodeWithSelector(Market.GateOpen.selector, FIRST_GATE));
        market.clear();
    }

    function testFuzz_anybody_clears_once_the_gate_is_closed(address anybody) public {
        submit(0, Wish(100, 0, 0, -1));
        vm.warp(FIRST_GATE);
        vm.prank(member(1));
        vm.expectRevert(abi.encodeWithSelector(Market.GateClosed.selector, FIRST_GATE));
        market.submit(0, Wish(100, 0, 0, -1));
        vm.prank(anybody);
        market.clear();
        check(interval() == 1, "not cleared");
        vm.expectRevert(abi.encodeWithSelector(Market.GateOpen.selector, FIRST_GATE + LENGTH));
        market.clear();
    }

    function test_clearing_need_not_wait_when_all_have_ordered() public {
        for (uint256 i = 0; i < 4; i++) {
            submit(i, Wish(100, 0, 0, -1));
        }
        market.clear();
        check(interval() == 1, "not cleared");
    }

    function test_nothing_goes_on_without_the_utility_price() public {
        market = make(makeRules(4), Market.Gates(FIRST_GATE, LENGTH, false));
        vm.expectRevert(Market.NoMember.selector);
        market.clear();
        market.register(member(0), makeBattery(), 0, 0);
        vm.prank(member(0));
        vm.expectRevert(abi.encodeWithSelector(Market.NotQuoted.selector, 0));
        market.submit(0, Wish(0, 0, 0, -1));
        vm.warp(FIRST_GATE);
        vm.expectRevert(abi.encodeWithSelector(Market.NotQuoted.selector, 0));
        market.clear();
    }

    function test_rules_and_batteries_that_cannot_be_are_refused() public {
        for (uint8 mechanism = 0; mechanism < 9; mechanism++) {
            if (mechanism >= 1 && mechanism <= 4) continue;
            vm.expectRevert(BadRules.selector);
            this.tryMake(makeRules(mechanism), Market.Gates(FIRST_GATE, LENGTH, false));
        }
        Rules memory r = makeRules(4);
        r.compensation = 1;
        vm.expectRevert(BadRules.selector);
        this.tryMake(r, Market.Gates(FIRST_GATE, LENGTH, false));
        vm.expectRevert(BadRules.selector);
        this.tryMake(makeRules(4), Market.Gates(FIRST_GATE, 0, false));
        Battery[4] memory bad =
            [Battery(2, 1, 0, 0, 1, 1, 0), Battery(0, 1, 0, 0, 0, 1, 0), Battery(0, 1, 0, 0, 1, 0, 0), makeBattery()];
        bad[3].selfDischargePpm = 1_000_001;
        for (uint256 k = 0; k < 4; k++) {
            vm.expectRevert(Records.BadBattery.selector);
            market.register(member(9), bad[k], 0, 0);
        }
    }

    // What an order may ask.

    function test_nobody_orders_what_its_battery_or_wallet_does_not_give() public {
        Wish[7] memory bad = [
            Wish(0, 4001, 0, -1), // more than the power
            Wish(-1, 10, 0, -1), // charging from the network
            Wish(0, -2326, 0, -1), // 2,500 Wh above the lower bound are 2,325 Wh at the terminals
            Wish(-1, 0, 3, -1), // no such ask
            Wish(1, 0, 1, -1), // an offer asks for nothing
            Wish(-1_000_000, 0, 1, -1), // 200 EUR at the utility's price
            Wish(0, 0, 2, -1) // a share, and no need
        ];
        for (uint256 k = 0; k < bad.length; k++) {
            vm.prank(member(2));
            vm.expectRevert(abi.encodeWithSelector(Matching.BadOrder.selector, 2));
            market.submit(0, bad[k]);
        }
        vm.prank(member(2));
        vm.expectRevert(Market.Unrepresentable.selector);
        market.submit(0, Wish(type(int32).min, 0, 0, -1));
        submit(2, Wish(0, -2325, 0, -1));
    }

    function test_no_battery_is_used_where_the_mechanism_has_none() public {
        open(makeRules(1), 2, false);
        vm.prank(member(0));
        vm.expectRevert(abi.encodeWithSelector(Matching.BadOrder.selector, 0));
        market.submit(0, Wish(0, 1, 0, -1));
    }

    /// No order that was taken, however hostile, keeps the others from being cleared.
    function testFuzz_whatever_is_taken_is_cleared(uint8 mechanism, Wish[4] memory wishes, uint32 price) public {
        mechanism = 1 + mechanism % 4;
        vm.warp(1);
        market = make(makeRules(mechanism), Market.Gates(FIRST_GATE, LENGTH, false));
        uint32[] memory prices = new uint32[](1);
        prices[0] = price;
        market.quote(prices);
        Battery memory huge = Battery(0, type(uint40).max, 0x7fffffff, 0x7fffffff, 1, 1, 1_000_000);
        for (uint256 i = 0; i < 4; i++) {
            market.register(member(i), i % 2 == 0 ? huge : makeBattery(), uint40(i) * 1e11, type(uint64).max);
        }
        int256 before = totalMoney();
        for (uint256 i = 0; i < 4; i++) {
            wishes[i].ask %= 3;
            isTaken(i, wishes[i]);
        }
        vm.warp(FIRST_GATE);
        market.clear();
        check(totalMoney() == before, "money was made or lost");
        checkLots();
    }

    /// The largest order at the largest price, for years: accounts do not overflow.
    function test_the_largest_debts_fit() public {
        open(makeRules(2), 1, false);
        uint32[] memory prices = new uint32[](1000);
        for (uint256 t = 0; t < 1000; t++) {
            prices[t] = MOST;
        }
        market.quote(prices);
        for (uint256 t = 0; t < 1000; t++) {
            submit(0, Wish(-0x7fffffff, 0, 0, -1));
            market.clear();
        }
        check(market.listHoldings()[0].account < -8e21, "the debt is not booked");
        check(totalMoney() == 2_000_000_000, "money was made or lost");
    }

    // Energy and money.

    /// Every need and offer is answered once; what batteries hold changes by what went in and out; money moves and is never made.
    function testFuzz_energy_and_money_are_conserved(uint8 mechanism, uint256 seed) public {
        open(makeRules(1 + mechanism % 4), 6, false);
        int256 money = totalMoney();
        for (uint256 t = 0; t < 5; t++) {
            (given, taken, stored) = (new int256[](6), new int256[](6), 0);
            for (uint256 i = 0; i < 6; i++) {
                order(i, draw(uint256(keccak256(abi.encode(seed, t, i)))));
            }
            int256 before = totalEnergy();
            vm.warp(FIRST_GATE + t * LENGTH);
            vm.recordLogs();
            market.clear();
            vm.warp(1);
            countExchanges(vm.getRecordedLogs());
            for (uint256 i = 0; i < 6; i++) {
                check(given[i] == 0 && taken[i] == 0, "an order was not answered once");
            }
            check(totalEnergy() <= before + stored, "energy was made");
            check(totalEnergy() >= (before + stored) * 9998 / 10_000 - 6, "energy was lost");
            check(totalMoney() == money, "money was made or lost");
            checkLots();
        }
    }

    function order(uint256 house, Wish memory wish) private {
        if (!isTaken(house, wish)) return;
        given[house] = wish.net > 0 ? wish.net : int256(0);
        taken[house] = wish.net < 0 ? -int256(wish.net) : int256(0);
        if (wish.charge > 0) stored += int256(wish.charge) * 950_000 / MILLION;
        else stored -= drawn(-int256(wish.charge));
    }

    function drawn(int256 wh) private pure returns (int256) {
        return (wh * MILLION + 929_999) / 930_000;
    }

    function countExchanges(MarketCheats.Log[] memory logs) private {
        for (uint256 k = 0; k < logs.length; k++) {
            if (logs[k].topics[0] != Market.Exchanged.selector) continue;
            (int256 seller, int256 buyer) = (int256(uint256(logs[k].topics[2])), int256(uint256(logs[k].topics[3])));
            (int256 kind,,, int256 wh, int256 price) =
                abi.decode(logs[k].data, (int256, int256, int256, int256, int256));
            check(wh > 0 && price >= 0, "an empty exchange");
            if (kind != 4 && kind != 5) given[uint256(seller)] -= wh;
            if (kind == 1 || kind == 2 || kind == 4 || kind == 5) taken[uint256(buyer)] -= wh;
            if (kind == 3) stored += wh * 950_000 / MILLION;
            if (kind == 4) stored -= drawn(wh);
        }
    }

    // Lots.

    /// House 0 shares with house 1, which is poor: half is used, half stored; house 2 buys of the lot; the rest becomes the host's.
    function test_a_lot_is_stored_sold_and_expires() public {
        submit(0, Wish(1000, 0, 0, -1));
        submit(1, Wish(-1000, 0, 2, -1));
        closeGate();
        Market.NumberedLot[] memory lots = market.listLots();
        check(lots.length == 1 && lots[0].number == 0 && lots[0].lot.owner == 0 && lots[0].lot.host == 1, "no lot");
        check(lots[0].lot.stored == 475 && lots[0].lot.expiry == 3, "500 Wh leave 475 in the battery, for 3 intervals");
        submit(2, Wish(-93, 0, 1, -1));
        uint256 before = market.listHoldings()[0].wallet;
        closeGate();
        check(market.listLots()[0].lot.stored == 375, "93 Wh take 100 out of the battery");
        check(
            market.listHoldings()[0].wallet == before + 93 * 201_000, "the lot's owner is paid the price of one request"
        );
        closeGate();
        check(market.listLots().length == 0 && market.listHoldings()[1].hosted == 0, "a lot outlives its time");
        check(market.listHoldings()[1].own == 3000 + 375, "what is left is not its host's");
        (,, uint32 next, uint64 everStored, uint64 everSold) = market.progress();
        check(next == 1 && everStored == 475 && everSold == 100, "the tally");
    }

    function closeGate() private {
        vm.warp(market.gate(interval()));
        market.clear();
        vm.warp(1);
    }

    /// The sharing contract (C-SE) pays from fees, and never more than it has.
    function test_the_sharing_contract_spends_what_it_earned() public {
        open(makeRules(3), 4, false);
        for (uint256 t = 0; t < 2; t++) {
            submit(0, Wish(1000, 0, 0, -1));
            submit(2, Wish(-500, 0, 1, -1));
            submit(1, Wish(-1000, 0, 2, -1));
            closeGate();
            if (t == 0) check(market.listLots().length == 0, "a contract without money has paid");
        }
        (, uint128 sharing) = market.pools();
        check(market.listLots()[0].lot.owner == -2, "the lot is not the contract's");
        check(sharing < 134_000 + 500 * 134_000 / 10, "the contract has kept its money");
    }

    // The queue.

    function openQueue(uint256 key) private returns (Wish memory wish) {
        bytes memory code = bytes.concat(
            vm.getCode("Market.sol:Market"), abi.encode(makeRules(1), Market.Gates(FIRST_GATE, LENGTH, true))
        );
        address made;
        vm.prank(vm.addr(key));
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
        }
        market = Market(made);
        vm.prank(vm.addr(key));
        market.quote(new uint32[](2));
        for (uint256 i = 0; i < 3; i++) {
            vm.prank(vm.addr(key));
            market.register(member(i), makeBattery(), 0, 1_000_000_000);
        }
        wish = Wish(0, 0, 0, -1);
    }

    function sendTicket(uint256 key, uint256 house, bytes32 digest, uint32 number, Wish memory wish) private {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        vm.prank(member(house));
        market.submitWithTicket(0, wish, number, v, r, s);
    }

    function testFuzz_tickets_decide_who_is_served_first(uint32[3] memory numbers) public {
        Wish memory wish = openQueue(KEY);
        vm.assume(numbers[1] != numbers[2] && numbers[0] != numbers[1] && numbers[0] != numbers[2]);
        wish.net = 100;
        sendTicket(KEY, 0, market.hashTicket(0, 0, numbers[0]), numbers[0], wish);
        (wish.net, wish.ask) = (-80, 1);
        sendTicket(KEY, 1, market.hashTicket(0, 1, numbers[1]), numbers[1], wish);
        sendTicket(KEY, 2, market.hashTicket(0, 2, numbers[2]), numbers[2], wish);
        vm.recordLogs();
        market.clear();
        MarketCheats.Log[] memory logs = vm.getRecordedLogs();
        check(logs[0].topics[3] == bytes32(uint256(numbers[1] < numbers[2] ? 1 : 2)), "not first come first served");
    }

    function testFuzz_forged_tickets_are_refused(uint256 key, uint32 number) public {
        key = 1 + key % 2 ** 200;
        vm.assume(key != KEY);
        Wish memory wish = openQueue(KEY);
        bytes32 right = market.hashTicket(0, 1, number);
        vm.expectRevert(Market.ForgedTicket.selector);
        this.forward(key, 1, right, number, wish); // of somebody else
        bytes32 other = market.hashTicket(0, 2, number);
        vm.expectRevert(Market.ForgedTicket.selector);
        this.forward(KEY, 1, other, number, wish); // of another house
        other = market.hashTicket(1, 1, number);
        vm.expectRevert(Market.ForgedTicket.selector);
        this.forward(KEY, 1, other, number, wish); // of another interval
        vm.expectRevert(Market.ForgedTicket.selector);
        this.forward(KEY, 1, right, number ^ 1, wish); // of another number
        vm.chainId(7);
        other = market.hashTicket(0, 1, number);
        vm.chainId(31337);
        vm.expectRevert(Market.ForgedTicket.selector);
        this.forward(KEY, 1, other, number, wish); // of another chain
        this.forward(KEY, 1, right, number, wish);
    }

    function forward(uint256 key, uint256 house, bytes32 digest, uint32 number, Wish memory wish) external {
        sendTicket(key, house, digest, number, wish);
    }

    function test_a_signature_of_nobody_is_no_ticket() public {
        Wish memory wish = openQueue(KEY);
        vm.prank(member(0));
        vm.expectRevert(Market.ForgedTicket.selector);
        market.submitWithTicket(0, wish, 1, 0, 0, 0);
        vm.prank(member(0));
        vm.expectRevert(Market.TicketExpected.selector);
        market.submit(0, wish);
        open(makeRules(1), 1, false);
        vm.prank(member(0));
        vm.expectRevert(Market.NoTicketExpected.selector);
        market.submitWithTicket(0, wish, 1, 27, bytes32(uint256(1)), bytes32(uint256(1)));
    }

    // Reentrancy.

    /// The contract calls nobody and makes nothing: its code has no such instruction but the one that recovers signatures.
    function test_the_code_has_no_calls() public view {
        bytes memory code = address(market).code;
        uint256 static_;
        for (uint256 k = 0; k < code.length; k++) {
            uint8 instruction = uint8(code[k]);
            bool calls = instruction == 0xf0 || instruction == 0xf1 || instruction == 0xf2 || instruction == 0xf4
                || instruction == 0xf5 || instruction == 0xff;
            check(!calls, "an instruction that calls, creates or destroys");
            if (instruction == 0xfa) static_++;
            if (instruction >= 0x60 && instruction <= 0x7f) k += instruction - 0x5f;
        }
        check(static_ == 1, "one call of the precompile that recovers signatures");
    }
}
