// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {
    Rules,
    SHARING_CENTRAL,
    SHARING_P2P,
    TRADING,
    chargeableWh,
    deliverableWh,
    drawnWh,
    feedInTariff,
    max,
    min,
    orderArrivals,
    storedWh,
    uniformPrice
} from "./Rules.sol";
import {Words} from "./Words.sol";

int256 constant GRID = -1;
int256 constant CONTRACT = -2;
int256 constant OPERATOR = -3;
int256 constant NOBODY = -4;

int256 constant P2P = 1;
int256 constant SHARE_USE = 2;
int256 constant SHARE_STORE = 3;
int256 constant LOT_SALE = 4;
int256 constant GRID_IMPORT = 5;
int256 constant GRID_EXPORT = 6;
int256 constant SPILL = 7;
int256 constant SHED = 8;
int256 constant LOSS = 9;
int256 constant COMPENSATION = 10;

int256 constant ASK_TRADE = 1;
int256 constant ASK_SHARE = 2;

/// What a battery can do in one interval.
struct Ratings {
    int256 socMin;
    int256 socMax;
    int256 maxCharge;
    int256 maxDischarge;
    int256 chargePpm;
    int256 dischargePpm;
    int256 selfDischargePpm;
}

/// A house: what it has, what it ordered, and what of that is open.
struct House {
    int256 own;
    int256 wallet;
    int256 account;
    int256 hosted;
    int256 net;
    int256 charge;
    int256 discharge;
    int256 limit;
    int256 ask;
    int256 offer;
    int256 need;
    int256 chargeLeft;
    int256 dischargeLeft;
    int256 above; // stored above the lower bound, for lots to be sold
    int256 hostedCharge; // of others, once it is settled
    int256 hostedDischarge;
    Ratings ratings;
}

/// Energy that its owner has stored in the battery of another house, and how much of it is still open.
struct Lot {
    int256 number;
    int256 owner;
    int256 host;
    int256 stored;
    int256 expiry;
    int256 open;
}

struct Exchange {
    int256 kind;
    int256 seller;
    int256 buyer;
    int256 host;
    int256 lot;
    int256 cleared;
    int256 delivered;
    int256 price;
}

/// An interval while it is cleared and settled, in memory.
struct Book {
    Rules rules;
    uint256 interval;
    int256 utility;
    int256 price;
    int256 payable_; // what the sharing contract can still pay
    int256 nextLot;
    House[] houses;
    Lot[] lots;
    uint256[] order; // houses in the order of arrival
    uint256[] requests; // houses that ask for a trade, in that order
    uint256 served; // requests that are served
    Exchange[] rows;
    uint256 written;
}

/// Orders are checked, then cleared: `market/orders.py`, `market/trading.py` and `market/sharing.py` once more.
library Matching {
    /// An order that Algorithm 1 does not allow: what the battery, the wallet or the house's own surplus does not give.
    error BadOrder(uint256 house);
    error BookFull();

    /// Trade, share, and leave the rest to the grid.
    function clear(Book memory book) internal pure {
        book.order = orderArrivals(book.houses.length, book.interval, book.rules);
        serve(book);
    }

    /// The same where the order of arrival is known.
    function serve(Book memory book) internal pure {
        setPrice(book);
        book.requests = queue(book, ASK_TRADE);
        sellLots(book);
        sellOffers(book);
        if (book.rules.mechanism >= SHARING_CENTRAL) shareOffers(book);
        settleWithGrid(book);
    }

    /// Room for so many exchanges; none is made before it is written.
    function openRows(uint256 size) internal pure returns (Exchange[] memory rows) {
        assembly ("memory-safe") {
            rows := mload(0x40)
            mstore(rows, size)
            mstore(0x40, add(rows, shl(5, add(size, 1))))
        }
    }

    /// Check the order of a house against its battery and its money, and open it.
    function openOrder(Book memory book, uint256 i) internal pure {
        openHouse(book, book.houses[i], i);
    }

    /// The same for a house that need not be among those of the book.
    function openHouse(Book memory book, House memory h, uint256 i) internal pure {
        if (book.rules.mechanism != TRADING) balanceBattery(h, i);
        else if (h.charge != 0 || h.discharge != 0) revert BadOrder(i);
        (h.offer, h.need) = (max(h.net, 0), max(-h.net, 0));
        bool fits = h.ask == 0;
        if (h.ask == ASK_TRADE) fits = h.need > 0 && h.need * book.utility <= h.wallet;
        if (h.ask == ASK_SHARE) fits = h.need > 0 && h.chargeLeft > 0;
        if (!fits) revert BadOrder(i);
    }

    /// A surplus may charge the battery, and only that; the house discharges only what is its own.
    function balanceBattery(House memory h, uint256 i) internal pure {
        Ratings memory r = h.ratings;
        int256 room = r.socMax - h.own - h.hosted;
        if (h.charge > 0) {
            if (h.net < 0 || h.charge > min(r.maxCharge, chargeableWh(room, r.chargePpm))) revert BadOrder(i);
            room -= storedWh(h.charge, r.chargePpm);
        } else {
            if (h.discharge > min(r.maxDischarge, deliverableWh(h.own - r.socMin, r.dischargePpm))) revert BadOrder(i);
            room += drawnWh(h.discharge, r.dischargePpm);
        }
        h.chargeLeft = min(r.maxCharge - h.charge, chargeableWh(room, r.chargePpm));
        h.dischargeLeft = r.maxDischarge - h.discharge;
    }

    /// The price of the interval; requests whose limit is below it are withdrawn, and then it is made once more.
    function setPrice(Book memory book) internal pure {
        book.price = priceOrders(book);
        bool withdrawn;
        for (uint256 i = 0; i < book.houses.length; i++) {
            House memory h = book.houses[i];
            if (h.ask != ASK_TRADE || h.limit < 0 || h.limit >= book.price) continue;
            h.ask = 0;
            withdrawn = true;
        }
        if (withdrawn) book.price = priceOrders(book);
    }

    function priceOrders(Book memory book) internal pure returns (int256) {
        int256[4] memory sides; // requests, offers, supply, demand
        for (uint256 i = 0; i < book.houses.length; i++) {
            House memory h = book.houses[i];
            if (h.offer > 0) {
                sides[1] += 1;
                sides[2] += h.offer;
            }
            if (h.ask == ASK_TRADE) {
                sides[0] += 1;
                sides[3] += h.need;
            }
        }
        return uniformPrice(book.utility, sides, book.rules);
    }

    /// Houses that ask for a trade, or for a share, in order of arrival.
    function queue(Book memory book, int256 ask) internal pure returns (uint256[] memory houses) {
        houses = new uint256[](book.order.length);
        uint256 size;
        for (uint256 k = 0; k < book.order.length; k++) {
            if (book.houses[book.order[k]].ask == ask) houses[size++] = book.order[k];
        }
        assembly ("memory-safe") {
            mstore(houses, size)
        }
    }

    function write(Book memory book, int256 kind, int256 seller, int256 buyer, int256 host, int256 lot, int256 wh, int256 price)
        internal
        pure
    {
        if (book.written == book.rows.length) revert BookFull();
        book.rows[book.written++] = Exchange(kind, seller, buyer, host, lot, wh, wh, price);
    }

    /// Sell lots, oldest first: what a lot holds, its host's battery lets out and a request needs.
    function sellLots(Book memory book) internal pure {
        if (book.lots.length > 0) findAbove(book);
        for (uint256 k = 0; k < book.lots.length && book.served < book.requests.length; k++) {
            sellLot(book, book.lots[k]);
        }
    }

    /// Stored energy above each lower bound once the houses have balanced themselves.
    function findAbove(Book memory book) internal pure {
        for (uint256 i = 0; i < book.houses.length; i++) {
            House memory h = book.houses[i];
            Ratings memory r = h.ratings;
            int256 own = h.own + storedWh(h.charge, r.chargePpm) - drawnWh(h.discharge, r.dischargePpm);
            h.above = max(0, h.hosted - r.socMin + own);
        }
    }

    function sellLot(Book memory book, Lot memory lot) internal pure {
        House memory host = book.houses[uint256(lot.host)];
        int256 ppm = host.ratings.dischargePpm;
        while (book.served < book.requests.length) {
            uint256 buyer = book.requests[book.served];
            House memory b = book.houses[buyer];
            int256 wh = min(min(deliverableWh(min(lot.open, host.above), ppm), host.dischargeLeft), b.need);
            if (wh == 0) return;
            write(book, LOT_SALE, lot.owner, int256(buyer), lot.host, lot.number, wh, lot.owner == int256(buyer) ? int256(0) : book.price);
            int256 drawn = drawnWh(wh, ppm);
            lot.open -= drawn;
            host.above -= drawn;
            host.dischargeLeft -= wh;
            b.need -= wh;
            if (b.need == 0) book.served++;
        }
    }

    function sellOffers(Book memory book) internal pure {
        for (uint256 k = 0; k < book.order.length; k++) {
            uint256 seller = book.order[k];
            House memory s = book.houses[seller];
            while (book.served < book.requests.length && s.offer > 0) {
                uint256 buyer = book.requests[book.served];
                House memory b = book.houses[buyer];
                int256 wh = min(s.offer, b.need);
                write(book, P2P, int256(seller), int256(buyer), int256(seller), NOBODY, wh, book.price);
                s.offer -= wh;
                b.need -= wh;
                if (b.need == 0) book.served++;
            }
        }
    }

    /// Largest e with e <= offer, floor(β·e) <= need and e - floor(β·e) <= room.
    function largestShare(int256 offer, int256 need, int256 room, int256 beta) internal pure returns (int256) {
        return min(min(offer, ((need + 1) * 1000 - 1) / beta), room * 1000 / (1000 - beta));
    }

    function shareOffers(Book memory book) internal pure {
        uint256[] memory hosts = queue(book, ASK_SHARE);
        uint256 position;
        for (uint256 k = 0; k < book.order.length && position < hosts.length; k++) {
            if (book.houses[book.order[k]].offer > 0) position = shareOffer(book, book.order[k], hosts, position);
        }
    }

    /// Share one offer with the hosts from `at` on: the contract pays at once (C-SE), or the prosumer keeps the lot (P2P-SE).
    function shareOffer(Book memory book, uint256 seller, uint256[] memory hosts, uint256 position) internal pure returns (uint256) {
        House memory s = book.houses[seller];
        bool central = book.rules.mechanism == SHARING_CENTRAL;
        while (position < hosts.length && s.offer > 0) {
            int256 offer = s.offer;
            if (central && book.price > 0) offer = min(offer, book.payable_ / book.price);
            if (offer == 0) break;
            int256 e = share(book, seller, hosts[position], offer);
            if (central) book.payable_ -= e * book.price;
            if (e < offer) position++;
        }
        return position;
    }

    /// Write what a host uses and what it stores of an offer; returns both together.
    function share(Book memory book, uint256 seller, uint256 hostIndex, int256 offer) internal pure returns (int256 e) {
        House memory host = book.houses[hostIndex];
        bool central = book.rules.mechanism == SHARING_CENTRAL;
        int256 beta = int256(uint256(book.rules.betaPermille));
        e = largestShare(offer, host.need, host.chargeLeft, beta);
        int256 used = e * beta / 1000;
        (int256 from, int256 to) = (int256(seller), int256(hostIndex));
        int256 price = central ? book.price : int256(0);
        if (used > 0) write(book, SHARE_USE, from, to, to, NOBODY, used, price);
        if (e > used) write(book, SHARE_STORE, from, central ? CONTRACT : from, to, book.nextLot++, e - used, price);
        book.houses[seller].offer -= e;
        host.need -= used;
        host.chargeLeft -= e - used;
    }

    function settleWithGrid(Book memory book) internal pure {
        int256 feedIn = feedInTariff(book.utility, book.rules);
        for (uint256 i = 0; i < book.houses.length; i++) {
            House memory h = book.houses[i];
            int256 house = int256(i);
            if (h.need > 0) write(book, GRID_IMPORT, GRID, house, NOBODY, NOBODY, h.need, book.utility);
            if (h.offer > 0) {
                if (book.rules.feedIn) write(book, GRID_EXPORT, house, GRID, NOBODY, NOBODY, h.offer, feedIn);
                else write(book, SPILL, house, NOBODY, NOBODY, NOBODY, h.offer, 0);
            }
        }
    }
}
