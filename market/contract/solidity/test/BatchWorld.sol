// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Batch, Interval} from "../Batch.sol";
import {Carried, State} from "../Carried.sol";
import {Book, GRID_EXPORT, GRID_IMPORT, House, LOT_SALE, P2P, SHARE_STORE, SHARE_USE, SHED, SPILL} from "../Matching.sol";
import {Rules, chargeableWh, deliverableWh, drawnWh, max, min, storedWh} from "../Rules.sol";
import {Delivery} from "../Settlement.sol";
import {Words} from "../Words.sol";

interface BatchCheats {
    function prank(address sender) external;
    function expectRevert(bytes calldata reason) external;
    function expectRevert(bytes4 reason) external;
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function addr(uint256 key) external pure returns (address);
    function chainId(uint256 id) external;
}

/// A Batch whose operator is this contract, with its state, and random intervals for it.
abstract contract BatchWorld {
    using Words for uint256;
    using Words for int256;

    BatchCheats internal constant vm = BatchCheats(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint64 internal constant UTILITY = 250_000;
    int256 internal constant NO_LIMIT = -1;

    Batch internal batch;
    State internal state;
    uint256[] internal ratings;
    uint256 internal n;
    int256 internal sumOfMoney;

    function check(bool condition, string memory what) internal pure {
        require(condition, what);
    }

    function makeRules(uint8 mechanism) internal pure returns (Rules memory r) {
        r.mechanism = mechanism;
        (r.feedIn, r.feedInNumerator, r.feedInDenominator) = (mechanism != 2, 1, 3);
        r.feePermille = mechanism == 3 ? 100 : 0;
        (r.betaPermille, r.tau, r.arrival) = (400, 3, 2);
        r.compensation = mechanism > 2 ? 90_000 : 0;
    }

    /// 500 to 10,000 Wh, 4,000 Wh an hour, 95 and 93 % efficient.
    function makeRatings() internal pure returns (uint256) {
        return 500 | 10_000 << 40 | 4000 << 80 | uint256(4000) << 120 | uint256(950_000) << 160 | uint256(930_000) << 180
            | uint256(100) << 200;
    }

    function key(uint256 house) internal pure returns (uint256) {
        return 0xBEEF + house;
    }

    /// n houses; every other one is poor.
    function open(uint8 mechanism, uint256 count, bool signedOnly) internal {
        n = count;
        State memory opening;
        opening.houses = new uint256[](n);
        address[] memory members = new address[](n);
        uint256[] memory words = new uint256[](n);
        for (uint256 i = 0; i < n; i++) {
            opening.houses[i] = 3000 | (i % 2 == 0 ? uint256(2_000_000_000) : 0) << 64;
            members[i] = vm.addr(key(i));
            words[i] = makeRatings();
        }
        ratings = words;
        batch = new Batch(makeRules(mechanism), signedOnly, members, words, opening);
        state = opening;
        sumOfMoney = countMoney(opening);
    }

    function countMoney(State memory s) internal pure returns (int256 sum) {
        for (uint256 i = 0; i < s.houses.length; i++) {
            sum += s.houses[i].signed(64, 64) + s.houses[i].signed(128, 64);
        }
        sum += s.pools.signed(0, 64) + s.pools.signed(64, 64) + s.pools.signed(128, 64);
    }

    /// Houses as they begin the next interval.
    function begin() internal view returns (Book memory book) {
        book.interval = state.tally >> 160;
        Carried.open(book, state, ratings);
    }

    /// Algorithm 1 for a surplus of each house that the seed draws.
    function makeOrders(uint256 seed) internal view returns (uint256[] memory orders) {
        Book memory book = begin();
        Rules memory r = rulesOf();
        orders = new uint256[](n);
        for (uint256 i = 0; i < n; i++) {
            int256 surplus = int256(uint256(keccak256(abi.encode(seed, i))) % 8000) - 4500;
            orders[i] = makeOrder(book.houses[i], surplus, r.mechanism);
        }
    }

    function makeOrder(House memory h, int256 surplus, uint8 mechanism) internal pure returns (uint256) {
        int256 charge;
        int256 room = h.ratings.socMax - h.own - h.hosted;
        if (mechanism > 1 && surplus > 0) {
            charge = min(surplus, min(h.ratings.maxCharge, chargeableWh(room, h.ratings.chargePpm)));
            room -= storedWh(charge, h.ratings.chargePpm);
        } else if (mechanism > 1) {
            int256 can = deliverableWh(h.own - h.ratings.socMin, h.ratings.dischargePpm);
            charge = -min(-surplus, min(h.ratings.maxDischarge, can));
            room += drawnWh(-charge, h.ratings.dischargePpm);
        }
        int256 net = surplus - charge;
        uint256 ask;
        bool takes = mechanism > 1 && min(h.ratings.maxCharge - max(charge, 0), chargeableWh(room, h.ratings.chargePpm)) > 0;
        if (net < 0) ask = -net * int256(uint256(UTILITY)) <= h.wallet ? 1 : takes ? 2 : 0;
        return order(net, charge, NO_LIMIT, ask, 0);
    }

    function order(int256 net, int256 charge, int256 limit, uint256 ask, uint256 number) internal pure returns (uint256) {
        return net.putSigned(0, 64) | charge.putSigned(64, 64) | limit.putSigned(128, 64) | ask << 192 | number << 200;
    }

    function rulesOf() internal view returns (Rules memory r) {
        (r.mechanism,,,,,,,,,,,) = batch.rules();
    }

    function makeInterval(uint256[] memory orders) internal view returns (Interval memory interval) {
        interval.state = state;
        interval.utility = UTILITY;
        interval.orders = orders;
    }

    /// Cut every second exchange or so, keep what batteries were to sell, and shed some of what is imported then.
    function curtail(Interval memory interval, uint256 seed) internal view {
        (, uint256[] memory rows) = batch.preview(interval, false);
        Delivery memory d = interval.delivery;
        (d.verdict, d.losses) = (keccak256("a verdict"), seed % 900);
        d.cuts = new uint256[](rows.length);
        uint256 size;
        for (uint256 k = 0; k < rows.length; k++) {
            uint256 kind = rows[k] & 0xff;
            uint256 draw = uint256(keccak256(abi.encode(seed, "cut", k)));
            bool may = kind <= uint256(LOT_SALE) || kind == uint256(GRID_EXPORT);
            if (may && draw % 2 == 0) d.cuts[size++] = k | draw / 2 % (((rows[k] >> 88) & type(uint48).max) + 1) << 16;
        }
        d.cuts = shorten(d.cuts, size);
        if (size > 0) changeHouses(interval, seed);
    }

    function changeHouses(Interval memory interval, uint256 seed) internal view {
        (, uint256[] memory rows) = batch.preview(interval, false);
        uint256[] memory changes = new uint256[](n);
        uint256 size;
        for (uint256 i = 0; i < n; i++) {
            int256 left;
            int256 imported;
            for (uint256 k = 0; k < rows.length; k++) {
                int256 kind = rows[k].plain(0, 8);
                int256 cut = rows[k].plain(88, 48) - rows[k].plain(136, 48);
                bool sells = rows[k].signed(8, 16) == int256(i) && (kind < LOT_SALE || kind == GRID_EXPORT);
                if (sells) left += cut;
                if (kind == GRID_IMPORT && rows[k].signed(24, 16) == int256(i)) imported = rows[k].plain(136, 48);
            }
            int256 kept = min(left, max(-interval.orders[i].signed(64, 64), 0));
            int256 shed = int256(uint256(keccak256(abi.encode(seed, "shed", i)))  % uint256(imported + 1));
            if (kept + shed > 0) changes[size++] = i | (-kept).putSigned(64, 48) | uint256(shed) << 112;
        }
        interval.delivery.changes = shorten(changes, size);
    }

    function shorten(uint256[] memory words, uint256 size) internal pure returns (uint256[] memory) {
        assembly ("memory-safe") {
            mstore(words, size)
        }
        return words;
    }

    /// Bring an interval, and see that it was settled as it was to be.
    function bring(Interval memory interval) internal {
        (State memory next, uint256[] memory rows) = batch.preview(interval, false);
        batch.clear(interval);
        check(batch.head() == Carried.headOf(next), "another state than the one previewed");
        checkBalance(interval, next, rows);
        state = next;
    }

    function checkBalance(Interval memory interval, State memory next, uint256[] memory rows) internal view {
        check(countMoney(next) == sumOfMoney, "money is made or lost");
        check(next.pools.signed(64, 64) >= 0, "the sharing contract is overdrawn");
        (int256[] memory flows, int256[] memory soc) = begun(interval);
        for (uint256 k = 0; k < rows.length; k++) {
            addRow(flows, soc, rows[k]);
        }
        for (uint256 i = 0; i < n; i++) {
            check(next.houses[i].signed(64, 64) >= 0, "a wallet is overdrawn");
            check(flows[i] == 0, "a house does not balance");
            soc[i] -= next.houses[i].signed(0, 64);
        }
        for (uint256 k = 0; k < next.lots.length; k++) {
            check(next.lots[k].signed(64, 64) > 0, "a lot of nothing");
            soc[uint256(next.lots[k].plain(48, 16))] -= next.lots[k].signed(64, 64);
        }
        for (uint256 i = 0; i < n; i++) {
            check(soc[i] == 0, "stored energy is made or lost");
        }
    }

    /// Surplus of each house, and what its battery holds when it has balanced itself.
    function begun(Interval memory interval) internal view returns (int256[] memory flows, int256[] memory soc) {
        Book memory book = begin();
        (flows, soc) = (new int256[](n), new int256[](n));
        for (uint256 i = 0; i < n; i++) {
            (int256 charge, int256 discharge) = (interval.orders[i].signed(64, 64), -interval.orders[i].signed(64, 64));
            (charge, discharge, flows[i]) = (max(charge, 0), max(discharge, 0), interval.orders[i].signed(0, 64));
            for (uint256 k = 0; k < interval.delivery.changes.length; k++) {
                uint256 word = interval.delivery.changes[k];
                if (word & 0xffff != i) continue;
                charge += word.plain(16, 48);
                discharge += word.signed(64, 48);
                flows[i] += word.signed(64, 48) - word.plain(16, 48);
            }
            if (interval.delivery.off) {
                flows[i] += charge - discharge;
                (charge, discharge) = (0, 0);
            }
            soc[i] = book.houses[i].own + book.houses[i].hosted + charge * 950_000 / 1_000_000;
            soc[i] -= (discharge * 1_000_000 + 929_999) / 930_000;
        }
    }

    function addRow(int256[] memory flows, int256[] memory soc, uint256 row) internal pure {
        (int256 kind, int256 seller, int256 buyer) = (row.plain(0, 8), row.signed(8, 16), row.signed(24, 16));
        (int256 host, int256 wh) = (row.signed(40, 16), row.plain(136, 48));
        if (kind <= LOT_SALE || kind == GRID_EXPORT) check(wh <= row.plain(88, 48), "more than cleared");
        if (kind == P2P || kind == SHARE_USE || kind == SHARE_STORE || kind == GRID_EXPORT || kind == SPILL) {
            flows[uint256(seller)] -= wh;
        }
        if (kind == P2P || kind == SHARE_USE || kind == LOT_SALE || kind == GRID_IMPORT || kind == SHED) {
            flows[uint256(buyer)] += wh;
        }
        if (kind == SHARE_STORE) soc[uint256(host)] += wh * 950_000 / 1_000_000;
        if (kind == LOT_SALE) soc[uint256(host)] -= (wh * 1_000_000 + 929_999) / 930_000;
    }
}
