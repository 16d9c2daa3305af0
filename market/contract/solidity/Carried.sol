// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Book, CONTRACT, Exchange, House, Lot, Matching, Ratings} from "./Matching.sol";
import {PPM, max} from "./Rules.sol";
import {Sums} from "./Settlement.sol";
import {Words} from "./Words.sol";

/// What is carried from one interval to the next, in words as `Words` lays them out; a chain keeps only its digest.
struct State {
    uint256[] houses;
    uint256[] lots; // oldest first
    uint256 pools;
    uint256 tally;
}

/// From words to a book at the begin of an interval, and back at its end.
library Carried {
    using Words for uint256;
    using Words for int256;

    /// A state that no market can be in.
    error BadState();
    error BadRatings(uint256 house);

    /// The digest that stands on the chain.
    function headOf(State memory s) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(keccak256(abi.encodePacked(s.houses)), keccak256(abi.encodePacked(s.lots)), s.pools, s.tally));
    }

    function readRatings(uint256 word) internal pure returns (Ratings memory r) {
        r.socMin = word.plain(0, 40);
        r.socMax = word.plain(40, 40);
        r.maxCharge = word.plain(80, 40);
        r.maxDischarge = word.plain(120, 40);
        r.chargePpm = word.plain(160, 20);
        r.dischargePpm = word.plain(180, 20);
        r.selfDischargePpm = word.plain(200, 20);
    }

    function checkRatings(uint256 word, uint256 house) internal pure {
        Ratings memory r = readRatings(word);
        bool rates = r.chargePpm > 0 && r.chargePpm <= PPM && r.dischargePpm > 0 && r.dischargePpm <= PPM;
        if (!rates || r.selfDischargePpm > PPM || r.socMin > r.socMax || word >> 220 != 0) revert BadRatings(house);
    }

    /// Nobody is overdrawn, and every lot is somebody's.
    function check(State memory s, uint256 n) internal pure {
        if (s.houses.length != n || n == 0) revert BadState();
        for (uint256 i = 0; i < n; i++) {
            if (s.houses[i].signed(0, 64) < 0 || s.houses[i].signed(64, 64) < 0 || s.houses[i] >> 224 != 0) revert BadState();
        }
        int256 next;
        for (uint256 k = 0; k < s.lots.length; k++) {
            Lot memory lot = readLot(s.lots[k]);
            bool known = lot.owner < int256(n) && (lot.owner >= 0 || lot.owner == CONTRACT) && lot.host < int256(n);
            if (!known || lot.stored <= 0 || lot.number < next || s.lots[k] >> 160 != 0) revert BadState();
            next = lot.number + 1;
        }
        if (next > s.tally.plain(0, 32) || s.pools.signed(64, 64) < 0 || s.pools >> 192 != 0 || s.tally >> 192 != 0) revert BadState();
    }

    function readLot(uint256 word) internal pure returns (Lot memory) {
        int256 wh = word.signed(64, 64);
        return Lot(word.plain(0, 32), word.signed(32, 16), word.plain(48, 16), wh, word.plain(128, 32), wh);
    }

    function readSums(State memory s) internal pure returns (Sums memory) {
        return Sums(s.pools.signed(0, 64), s.pools.signed(64, 64), s.pools.signed(128, 64), s.tally.signed(32, 64), s.tally.signed(96, 64));
    }

    /// Houses at the begin of the interval: lots that fell due are their hosts' own, and batteries have self-discharged.
    function open(Book memory book, State memory s, uint256[] memory ratings) internal pure {
        uint256 n = s.houses.length;
        book.houses = new House[](n);
        for (uint256 i = 0; i < n; i++) {
            House memory h = book.houses[i];
            uint256 word = s.houses[i];
            (h.own, h.wallet, h.account) = (word.signed(0, 64), word.signed(64, 64), word.signed(128, 64));
            h.ratings = readRatings(ratings[i]);
        }
        openLots(book, s.lots);
        for (uint256 i = 0; i < n; i++) {
            House memory h = book.houses[i];
            if (h.ratings.selfDischargePpm > 0) h.own -= h.own * h.ratings.selfDischargePpm / PPM;
        }
        book.nextLot = s.tally.plain(0, 32);
    }

    function openLots(Book memory book, uint256[] memory words) internal pure {
        book.lots = new Lot[](words.length);
        uint256 alive;
        for (uint256 k = 0; k < words.length; k++) {
            Lot memory lot = readLot(words[k]);
            House memory host = book.houses[uint256(lot.host)];
            if (lot.expiry <= int256(book.interval)) {
                host.own += lot.stored;
            } else {
                host.hosted += lot.stored;
                book.lots[alive++] = lot;
            }
        }
        Lot[] memory lots = book.lots;
        assembly ("memory-safe") {
            mstore(lots, alive)
        }
    }

    /// Orders as they were submitted, checked and opened.
    function openOrders(Book memory book, uint256[] memory orders) internal pure {
        for (uint256 i = 0; i < orders.length; i++) {
            House memory h = book.houses[i];
            uint256 word = orders[i];
            int256 charge = word.signed(64, 64);
            (h.net, h.limit, h.ask) = (word.signed(0, 64), word.signed(128, 64), word.plain(192, 8));
            (h.charge, h.discharge) = (max(charge, 0), max(-charge, 0));
            Matching.openOrder(book, i);
        }
    }

    /// The state after the interval. Numbers of signed orders are those of `orders` where `signed` says so.
    function close(Book memory book, Sums memory sums, Lot[] memory lots, State memory before, uint256[] memory orders, bool signed)
        internal
        pure
        returns (State memory s)
    {
        uint256 n = book.houses.length;
        s.houses = new uint256[](n);
        for (uint256 i = 0; i < n; i++) {
            House memory h = book.houses[i];
            uint256 number = before.houses[i] >> 192;
            if (signed && orders[i] >> 200 > 0) number = orders[i] >> 200;
            s.houses[i] = h.own.putSigned(0, 64) | h.wallet.putSigned(64, 64) | h.account.putSigned(128, 64) | number << 192;
        }
        s.lots = new uint256[](lots.length);
        for (uint256 k = 0; k < lots.length; k++) {
            Lot memory lot = lots[k];
            s.lots[k] = lot.number.putPlain(0, 32) | lot.owner.putSigned(32, 16) | lot.host.putPlain(48, 16)
                | lot.open.putSigned(64, 64) | lot.expiry.putPlain(128, 32);
        }
        s.pools = sums.utility.putSigned(0, 64) | sums.sharing.putSigned(64, 64) | sums.operator.putSigned(128, 64);
        s.tally = book.nextLot.putPlain(0, 32) | sums.stored.putSigned(32, 64) | sums.sold.putSigned(96, 64)
            | int256(book.interval + 1).putPlain(160, 32);
    }

    function listExchanges(Book memory book) internal pure returns (uint256[] memory words) {
        words = new uint256[](book.written);
        for (uint256 k = 0; k < words.length; k++) {
            Exchange memory row = book.rows[k];
            words[k] = row.kind.putPlain(0, 8) | row.seller.putSigned(8, 16) | row.buyer.putSigned(24, 16)
                | row.host.putSigned(40, 16) | row.lot.putSigned(56, 32) | row.cleared.putPlain(88, 48)
                | row.delivered.putPlain(136, 48) | row.price.putPlain(184, 48);
        }
    }
}
