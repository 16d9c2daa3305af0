// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {
    Book,
    COMPENSATION,
    CONTRACT,
    Exchange,
    GRID,
    GRID_EXPORT,
    GRID_IMPORT,
    House,
    LOSS,
    LOT_SALE,
    Lot,
    Matching,
    NOBODY,
    OPERATOR,
    P2P,
    SHARE_STORE,
    SHARE_USE,
    SHED,
    SPILL
} from "./Matching.sol";
import {SHARING_CENTRAL, drawnWh, max, storedWh} from "./Rules.sol";
import {Words} from "./Words.sol";

/// What is nobody's house: pools of money in nEUR; Wh of prosumers' lots that were ever stored and sold.
struct Sums {
    int256 utility;
    int256 sharing;
    int256 operator;
    int256 stored;
    int256 sold;
}

/// What the network admitted of a clearing; all of it where the lists are empty.
struct Delivery {
    uint256 losses; // Wh that the operator buys from the utility
    bool off; // the feeder was switched off: nothing is delivered
    bytes32 verdict; // digest of the power flow's verdict that says why; zero where all is delivered
    uint256[] cuts; // exchanges that are delivered in part, in order
    uint256[] changes; // batteries and load of houses that differ from their orders, in order of the houses
}

/// Deliver, pay and store what was cleared: `cosim/delivery/redispatch.py`, `market/settlement.py` once more. What a
/// seller is left with charges its battery or is spilled; what a buyer misses comes from its battery or from the grid.
library Settlement {
    /// More is to be delivered than was cleared, or an exchange that cannot be cut is, or not in order.
    error BadCut(uint256 row);
    /// A battery is to take or give what is neither left nor missing, or more is to be shed than is imported.
    error BadChange(uint256 house);
    /// Something is curtailed without a verdict.
    error NoVerdict();
    /// A battery is charged or discharged beyond its ratings.
    error BeyondRatings(uint256 house);
    /// A wallet, or the sharing contract, would be below zero.
    error Overdrawn(int256 party);

    uint256 private constant OFF_BITS = 0xffff | uint256(type(uint48).max) << 112;

    /// Energy that houses have left and that they miss, and where their imports and spill stand (place + 1).
    struct Open {
        int256[] left;
        int256[] missing;
        uint256[] imports;
        uint256[] spills;
    }

    function deliver(Book memory book, Delivery memory d) internal pure {
        bool curtailed = d.off || d.cuts.length + d.changes.length > 0;
        if (curtailed) {
            if (d.verdict == 0) revert NoVerdict();
            if (d.off) cutAll(book, d.cuts);
            else cut(book, d.cuts);
            redispatch(book, d);
            if (!d.off && book.rules.compensation > 0) compensate(book);
        }
        if (d.losses > 0) {
            append(book, LOSS, GRID, OPERATOR, int256(d.losses), book.utility);
            book.rows[book.written - 1].cleared = int256(d.losses);
        }
    }

    function cut(Book memory book, uint256[] memory cuts) internal pure {
        uint256 next;
        for (uint256 k = 0; k < cuts.length; k++) {
            uint256 position = uint256(Words.plain(cuts[k], 0, 16));
            int256 wh = Words.plain(cuts[k], 16, 48);
            if (position < next || position >= book.written || cuts[k] >> 64 != 0) revert BadCut(position);
            Exchange memory row = book.rows[position];
            bool may = row.kind <= LOT_SALE || row.kind == GRID_EXPORT;
            if (!may || wh > row.cleared) revert BadCut(position);
            row.delivered = wh;
            next = position + 1;
        }
    }

    function cutAll(Book memory book, uint256[] memory cuts) internal pure {
        if (cuts.length > 0) revert BadCut(0);
        for (uint256 k = 0; k < book.written; k++) {
            book.rows[k].delivered = 0;
        }
    }

    function findOpen(Book memory book) internal pure returns (Open memory o) {
        uint256 n = book.houses.length;
        o = Open(new int256[](n), new int256[](n), new uint256[](n), new uint256[](n));
        for (uint256 k = 0; k < book.written; k++) {
            Exchange memory row = book.rows[k];
            int256 wh = row.cleared - row.delivered;
            if (row.kind == GRID_IMPORT) o.imports[uint256(row.buyer)] = k + 1;
            else if (row.kind == SPILL) o.spills[uint256(row.seller)] = k + 1;
            else if (wh > 0) {
                if (row.kind != LOT_SALE) o.left[uint256(row.seller)] += wh;
                if (row.kind <= SHARE_USE || row.kind == LOT_SALE) o.missing[uint256(row.buyer)] += wh;
            }
        }
    }

    /// Balance every house, in order: its import, its spill, its load that is not served.
    function redispatch(Book memory book, Delivery memory d) internal pure {
        Open memory o = findOpen(book);
        uint256 position;
        for (uint256 i = 0; i < book.houses.length; i++) {
            uint256 word;
            if (position < d.changes.length && d.changes[position] & 0xffff == i) word = d.changes[position++];
            if (d.off) switchOff(book, o, i, word);
            else change(book, o, i, word);
        }
        if (position < d.changes.length) revert BadChange(d.changes[position] & 0xffff);
    }

    function change(Book memory book, Open memory o, uint256 i, uint256 word) internal pure {
        House memory h = book.houses[i];
        (int256 absorbed, int256 released, int256 shed) =
            (Words.plain(word, 16, 48), Words.signed(word, 64, 48), Words.plain(word, 112, 48));
        int256 kept = max(-released, 0); // what a battery was to sell it keeps
        int256 spilled = o.left[i] - kept - absorbed;
        int256 imported = o.missing[i] - max(released, 0) - shed;
        if (o.imports[i] > 0) imported += book.rows[o.imports[i] - 1].cleared;
        if (word >> 160 != 0 || kept > h.discharge || spilled < 0 || imported < 0) revert BadChange(i);
        if (released > o.missing[i]) revert BadChange(i);
        if (o.spills[i] > 0) spilled += book.rows[o.spills[i] - 1].cleared;
        h.charge += absorbed;
        h.discharge += released;
        setTotal(book, o.imports[i], GRID_IMPORT, i, imported);
        setTotal(book, o.spills[i], SPILL, i, spilled);
        if (shed > 0) append(book, SHED, NOBODY, int256(i), shed, 0);
    }

    /// Without supply a house spills what it generates and sheds its load; its battery stands still.
    function switchOff(Book memory book, Open memory o, uint256 i, uint256 word) internal pure {
        House memory h = book.houses[i];
        int256 shed = Words.plain(word, 112, 48);
        int256 spilled = shed + h.net + h.charge - h.discharge;
        if (word & ~OFF_BITS != 0 || spilled < 0) revert BadChange(i);
        (h.charge, h.discharge) = (0, 0);
        setTotal(book, o.spills[i], SPILL, i, spilled);
        if (shed > 0) append(book, SHED, NOBODY, int256(i), shed, 0);
    }

    function setTotal(Book memory book, uint256 place, int256 kind, uint256 i, int256 wh) internal pure {
        if (place > 0) book.rows[place - 1].delivered = wh;
        else if (wh > 0 && kind == SPILL) append(book, SPILL, int256(i), NOBODY, wh, 0);
        else if (wh > 0) append(book, GRID_IMPORT, GRID, int256(i), wh, book.utility);
    }

    /// A row that nobody cleared.
    function append(Book memory book, int256 kind, int256 seller, int256 buyer, int256 wh, int256 price) internal pure {
        Matching.write(book, kind, seller, buyer, NOBODY, NOBODY, wh, price);
        book.rows[book.written - 1].cleared = 0;
    }

    /// The operator pays for what is spilled because the network could not carry it.
    function compensate(Book memory book) internal pure {
        uint256 n = book.written;
        for (uint256 k = 0; k < n; k++) {
            Exchange memory row = book.rows[k];
            int256 wh = row.delivered - row.cleared;
            if (row.kind != SPILL || wh <= 0) continue;
            append(book, COMPENSATION, row.seller, OPERATOR, wh, int256(uint256(book.rules.compensation)));
            book.rows[book.written - 1].cleared = wh;
        }
    }

    /// Double entry: the buyer pays, but for shared energy, which the sharing contract pays.
    function pay(Book memory book, Sums memory sums) internal pure {
        for (uint256 k = 0; k < book.written; k++) {
            Exchange memory row = book.rows[k];
            int256 amount = row.delivered * row.price;
            if (amount == 0) continue;
            int256 fee;
            if (row.kind == P2P) fee = amount * int256(uint256(book.rules.feePermille)) / 1000;
            bool shared = row.kind == SHARE_USE || row.kind == SHARE_STORE;
            post(book, sums, shared ? CONTRACT : row.buyer, -amount, row.kind <= LOT_SALE);
            post(book, sums, row.seller, amount - fee, row.kind <= LOT_SALE);
            sums.sharing += fee;
        }
        if (sums.sharing < 0) revert Overdrawn(CONTRACT);
    }

    function post(Book memory book, Sums memory sums, int256 party, int256 amount, bool wallet) internal pure {
        if (party >= 0) {
            House memory h = book.houses[uint256(party)];
            if (wallet) h.wallet += amount;
            else h.account += amount;
        } else if (party == GRID) {
            sums.utility += amount;
        } else if (party == CONTRACT) {
            sums.sharing += amount;
        } else {
            sums.operator += amount;
        }
    }

    /// Own energy, lots and tally after the interval; returns the lots that are left, then the new ones.
    function move(Book memory book, Sums memory sums) internal pure returns (Lot[] memory lots) {
        uint256 n = book.lots.length;
        for (uint256 k = 0; k < n; k++) {
            book.lots[k].open = book.lots[k].stored;
        }
        lots = new Lot[](n + (book.rules.mechanism >= SHARING_CENTRAL ? countStores(book) : 0));
        uint256 size = drawLots(book, sums, lots);
        int256 expiry = int256(book.interval + book.rules.tau);
        for (uint256 k = 0; k < book.written; k++) {
            Exchange memory row = book.rows[k];
            if (row.kind != SHARE_STORE) continue;
            House memory host = book.houses[uint256(row.host)];
            int256 wh = storedWh(row.delivered, host.ratings.chargePpm);
            host.hostedCharge += row.delivered;
            host.hosted += wh;
            if (wh == 0) continue;
            if (row.buyer >= 0) sums.stored += wh;
            lots[size++] = Lot(row.lot, row.buyer, row.host, wh, expiry, wh);
        }
        assembly ("memory-safe") {
            mstore(lots, size)
        }
    }

    function countStores(Book memory book) internal pure returns (uint256 count) {
        for (uint256 k = 0; k < book.written; k++) {
            if (book.rows[k].kind == SHARE_STORE) count++;
        }
    }

    /// Take what was sold out of the lots; those that are left come first in `left`. Sales are in the order of the lots.
    function drawLots(Book memory book, Sums memory sums, Lot[] memory left) internal pure returns (uint256 size) {
        uint256 k;
        for (uint256 j = 0; j < book.written && book.rows[j].kind == LOT_SALE; j++) {
            Exchange memory row = book.rows[j];
            while (book.lots[k].number != row.lot) k++;
            House memory host = book.houses[uint256(row.host)];
            int256 drawn = drawnWh(row.delivered, host.ratings.dischargePpm);
            host.hostedDischarge += row.delivered;
            host.hosted -= drawn;
            book.lots[k].open -= drawn;
            if (book.lots[k].owner >= 0) sums.sold += drawn;
        }
        for (k = 0; k < book.lots.length; k++) {
            Lot memory lot = book.lots[k];
            if (lot.open > 0) left[size++] = lot;
        }
    }

    /// Charge and discharge what is the house's own, and see that nobody is overdrawn.
    function closeHouses(Book memory book) internal pure {
        for (uint256 i = 0; i < book.houses.length; i++) {
            House memory h = book.houses[i];
            if (h.wallet < 0) revert Overdrawn(int256(i));
            (int256 charge, int256 discharge) = (h.charge + h.hostedCharge, h.discharge + h.hostedDischarge);
            if (charge == 0 && discharge == 0) continue;
            h.own += storedWh(h.charge, h.ratings.chargePpm) - drawnWh(h.discharge, h.ratings.dischargePpm);
            int256 soc = h.own + h.hosted;
            bool fits = charge <= h.ratings.maxCharge && discharge <= h.ratings.maxDischarge && h.own >= 0;
            if (charge > 0) fits = fits && soc <= h.ratings.socMax;
            if (discharge > 0) fits = fits && soc >= h.ratings.socMin;
            if (h.discharge > 0) fits = fits && h.own >= h.ratings.socMin;
            if (!fits) revert BeyondRatings(i);
        }
    }
}
