// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {
    Book,
    Exchange,
    GRID_EXPORT,
    GRID_IMPORT,
    House,
    LOT_SALE,
    Lot,
    P2P,
    SHARE_STORE,
    SHARE_USE
} from "./Matching.sol";
import {PPM, drawnWh, storedWh} from "./Rules.sol";

/// What is nobody's house: money of the utility and of the sharing contract, nEUR; lots of prosumers ever stored and sold, Wh.
struct Sums {
    int256 utility;
    int256 contract_;
    int256 stored;
    int256 sold;
}

/// The end of an interval in memory, all of it delivered: `market/settlement.py` and `begin_interval` of `market/state.py` once more.
library Hour {
    /// Pay every exchange: double entry, what one party pays another gets.
    function pay(Book memory book, Sums memory sums) internal pure {
        for (uint256 k = 0; k < book.written; k++) {
            Exchange memory row = book.rows[k];
            int256 amount = row.cleared * row.price;
            if (amount == 0) continue;
            if (row.kind == P2P || row.kind == LOT_SALE) payTrade(book, sums, row, amount);
            else if (row.kind == SHARE_USE || row.kind == SHARE_STORE) payShare(book, sums, row, amount);
            else if (row.kind == GRID_IMPORT) payUtility(book, sums, uint256(row.buyer), amount);
            else if (row.kind == GRID_EXPORT) payUtility(book, sums, uint256(row.seller), -amount);
        }
    }

    /// The buyer pays from its wallet; of an offer's sale the contract gets the fee, of a lot's sale its owner gets all.
    function payTrade(Book memory book, Sums memory sums, Exchange memory row, int256 amount) internal pure {
        int256 fee = row.kind == P2P ? amount * int256(uint256(book.rules.feePermille)) / 1000 : int256(0);
        book.houses[uint256(row.buyer)].wallet -= amount;
        if (row.seller >= 0) book.houses[uint256(row.seller)].wallet += amount - fee;
        else sums.contract_ += amount;
        sums.contract_ += fee;
    }

    function payShare(Book memory book, Sums memory sums, Exchange memory row, int256 amount) internal pure {
        sums.contract_ -= amount;
        book.houses[uint256(row.seller)].wallet += amount;
    }

    function payUtility(Book memory book, Sums memory sums, uint256 house, int256 amount) internal pure {
        book.houses[house].account -= amount;
        sums.utility += amount;
    }

    /// What the houses charged and discharged of their own; what was sold of prosumers' lots.
    function moveEnergy(Book memory book, Sums memory sums) internal pure {
        for (uint256 i = 0; i < book.houses.length; i++) {
            House memory h = book.houses[i];
            h.own += storedWh(h.charge, h.ratings.chargePpm) - drawnWh(h.discharge, h.ratings.dischargePpm);
            h.hosted = 0;
        }
        for (uint256 k = 0; k < book.lots.length; k++) {
            Lot memory lot = book.lots[k];
            if (lot.owner >= 0) sums.sold += lot.stored - lot.open;
        }
    }

    /// New lots, in order of their numbers; those of which a battery's losses leave nothing are not among them.
    function listNewLots(Book memory book, Sums memory sums, uint256 first) internal pure returns (Lot[] memory lots) {
        lots = new Lot[](uint256(book.nextLot) - first);
        uint256 size;
        int256 expiry = int256(book.interval + book.rules.tau);
        for (uint256 k = 0; k < book.written; k++) {
            Exchange memory row = book.rows[k];
            if (row.kind != SHARE_STORE) continue;
            int256 wh = storedWh(row.cleared, book.houses[uint256(row.host)].ratings.chargePpm);
            if (wh == 0) continue;
            if (row.buyer >= 0) sums.stored += wh;
            lots[size++] = Lot(row.lot, row.buyer, row.host, wh, expiry, wh);
        }
        assembly ("memory-safe") {
            mstore(lots, size)
        }
    }

    /// A lot at the begin of an interval: its host's own where it has expired, else hosted.
    function carry(House[] memory houses, Lot memory lot, uint256 interval) internal pure {
        House memory host = houses[uint256(lot.host)];
        if (lot.expiry > int256(interval)) {
            host.hosted += lot.open;
        } else {
            host.own += lot.open;
            lot.open = 0;
        }
    }

    /// What is left of own energy at the begin of the next interval.
    function rest(int256 own, int256 ppm) internal pure returns (int256) {
        return own - own * ppm / PPM;
    }
}
