// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {House, Lot, Ratings} from "./Matching.sol";
import {PPM, Rules} from "./Rules.sol";

/// What a battery can do in one interval: energies in Wh, rates in parts per million. One word of storage.
struct Battery {
    uint40 socMin;
    uint40 socMax;
    uint32 maxCharge; // at the terminals
    uint32 maxDischarge;
    uint24 chargePpm;
    uint24 dischargePpm;
    uint24 selfDischargePpm; // of what the house owns, per interval
}

/// What a house has, in Wh and nEUR. A wallet is never below zero; an account is where the house owes the utility. One word.
struct Holding {
    uint40 own;
    uint40 hosted; // what others have stored in its battery
    uint80 wallet;
    int96 account;
}

/// What a house wants of an interval, after it has balanced itself: Algorithm 1 of the study is done at home.
struct Wish {
    int32 net; // Wh offered, or below zero: needed
    int32 charge; // Wh of the own surplus that charge the battery, or below zero: that it gives
    uint8 ask; // 0 nothing, 1 a trade, 2 a share
    int32 limit; // most µEUR/kWh that it pays to others, -1 for no limit
}

/// A wish that was taken. One word, as nested structs are not.
struct Order {
    int32 net;
    int32 charge;
    uint8 ask;
    int32 limit;
    uint32 interval;
    uint32 number; // place in the queue, where there is one
    bool taken; // tells an order of interval 0 from none
}

/// Energy that its owner (-2: the sharing contract) has stored in a host's battery. One word.
struct StoredLot {
    int24 owner;
    uint16 host;
    uint40 stored;
    uint32 expiry; // from this interval on it is the host's
}

/// How records of one word become numbers to calculate with, and back; what does not fit is refused, never cut off.
library Records {
    /// A number does not fit into its place.
    error DoesNotFit(int256 value);
    /// A battery that cannot be.
    error BadBattery();

    uint24 private constant PPM24 = 1_000_000;
    uint32 private constant LARGEST = 0x7fffffff;

    function check(Battery memory b) internal pure {
        bool bounds = b.socMin <= b.socMax && b.maxCharge <= LARGEST && b.maxDischarge <= LARGEST;
        bool charging = b.chargePpm > 0 && b.chargePpm <= PPM24;
        bool discharging = b.dischargePpm > 0 && b.dischargePpm <= PPM24 && b.selfDischargePpm <= PPM24;
        if (!(bounds && charging && discharging)) revert BadBattery();
    }

    function rate(Battery memory b) internal pure returns (Ratings memory r) {
        r.socMin = int256(uint256(b.socMin));
        r.socMax = int256(uint256(b.socMax));
        r.maxCharge = int256(uint256(b.maxCharge));
        r.maxDischarge = int256(uint256(b.maxDischarge));
        r.chargePpm = int256(uint256(b.chargePpm));
        r.dischargePpm = int256(uint256(b.dischargePpm));
        r.selfDischargePpm = int256(uint256(b.selfDischargePpm));
    }

    /// A house with its order; where that is all zero the house neither gives nor needs anything.
    function load(Holding memory has, Battery memory battery, Order memory order)
        internal
        pure
        returns (House memory h)
    {
        h.own = int256(uint256(has.own));
        h.hosted = int256(uint256(has.hosted));
        h.wallet = int256(uint256(has.wallet));
        h.account = has.account;
        h.ratings = rate(battery);
        h.net = order.net;
        h.charge = order.charge > 0 ? int256(order.charge) : int256(0);
        h.discharge = order.charge < 0 ? -int256(order.charge) : int256(0);
        h.ask = int256(uint256(order.ask));
        h.limit = order.limit;
    }

    function store(House memory h) internal pure returns (Holding memory) {
        if (h.account != int96(h.account)) revert DoesNotFit(h.account);
        return Holding(uint40(fit(h.own, 40)), uint40(fit(h.hosted, 40)), uint80(fit(h.wallet, 80)), int96(h.account));
    }

    function load(uint256 number, StoredLot memory s) internal pure returns (Lot memory lot) {
        int256 wh = int256(uint256(s.stored));
        return Lot(int256(number), s.owner, int256(uint256(s.host)), wh, int256(uint256(s.expiry)), wh);
    }

    /// Rules in two words, which a contract can keep in its code.
    function pack(Rules memory r) internal pure returns (uint256 low, uint256 high) {
        low = uint256(r.mechanism) | uint256(r.pricing) << 8 | uint256(r.arrival) << 16 | (r.feedIn ? 1 << 24 : 0);
        low |= uint256(r.fixedPrice) << 32 | uint256(r.feedInNumerator) << 96 | uint256(r.feedInDenominator) << 128;
        high = uint256(r.feePermille) | uint256(r.betaPermille) << 32 | uint256(r.tau) << 64 | uint256(r.seed) << 96;
    }

    function unpack(uint256 low, uint256 high) internal pure returns (Rules memory r) {
        (r.mechanism, r.pricing, r.arrival, r.feedIn) =
        (uint8(low), uint8(low >> 8), uint8(low >> 16), low >> 24 & 1 == 1);
        r.fixedPrice = uint64(low >> 32);
        (r.feedInNumerator, r.feedInDenominator) = (uint32(low >> 96), uint32(low >> 128));
        (r.feePermille, r.betaPermille, r.tau) = (uint32(high), uint32(high >> 32), uint32(high >> 64));
        r.seed = uint64(high >> 96);
    }

    /// A lot with what is still open of it.
    function store(Lot memory lot) internal pure returns (StoredLot memory) {
        return
            StoredLot(
                int24(lot.owner), uint16(fit(lot.host, 16)), uint40(fit(lot.open, 40)), uint32(fit(lot.expiry, 32))
            );
    }

    /// What a battery keeps of own energy at the begin of an interval.
    function rest(int256 own, int256 selfDischargePpm) internal pure returns (int256) {
        return own - own * selfDischargePpm / PPM;
    }

    /// A number from zero on that has so many bits at most: what would be overdrawn ends here.
    function fit(int256 value, uint256 bits) internal pure returns (uint256) {
        if (value < 0 || value >> bits != 0) revert DoesNotFit(value);
        return uint256(value);
    }
}
