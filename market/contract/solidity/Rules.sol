// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// Rules of a market and integer arithmetic of prices and batteries: `market/rules.py`, `market/pricing.py`, `market/storage.py` and
/// `market/arrival.py` once more. Energies in Wh, prices in µEUR/kWh, money in nEUR; all arithmetic is checked but the hash of `shuffled`.
struct Rules {
    uint8 mechanism; // TRADING to SHARING_P2P
    uint8 pricing; // REQUESTS_OFFERS to FIXED
    uint8 arrival; // INDEX to SHUFFLE
    bool feedIn; // whether what is left over is exported, not spilled
    uint64 fixedPrice;
    uint32 feedInNumerator;
    uint32 feedInDenominator;
    uint32 feePermille;
    uint32 betaPermille;
    uint32 tau;
    uint64 seed;
    uint64 compensation; // µEUR/kWh that the operator pays for energy that could not be carried
}

uint8 constant TRADING = 1;
uint8 constant TRADING_BATTERY = 2;
uint8 constant SHARING_CENTRAL = 3;
uint8 constant SHARING_P2P = 4;

uint8 constant MID_MARKET = 1;
uint8 constant SUPPLY_DEMAND_RATIO = 2;
uint8 constant FIXED = 3;

uint8 constant ROTATE = 1;
uint8 constant SHUFFLE = 2;

int256 constant PPM = 1_000_000;

/// A rule is outside its range, or one that a contract does not know.
error BadRules();

function checkRules(Rules memory r) pure {
    bool known = r.mechanism >= TRADING && r.mechanism <= SHARING_P2P && r.pricing <= FIXED && r.arrival <= SHUFFLE;
    bool tariff = r.feedInDenominator >= 1 && r.feedInDenominator <= 1_000_000 && r.feedInNumerator <= r.feedInDenominator;
    bool rates = r.feePermille <= 1000 && r.betaPermille >= 1 && r.betaPermille <= 999;
    bool others = r.tau >= 1 && r.tau <= 1_000_000 && r.fixedPrice <= 10_000_000 && r.compensation <= 10_000_000;
    if (!(known && tariff && rates && others)) revert BadRules();
    if (r.feePermille > 0 && r.mechanism != SHARING_CENTRAL) revert BadRules();
}

function min(int256 a, int256 b) pure returns (int256) {
    return a < b ? a : b;
}

function max(int256 a, int256 b) pure returns (int256) {
    return a > b ? a : b;
}

/// Stored energy that a charge at the terminals leaves in a battery, rounded down; neither is below zero.
function storedWh(int256 chargeWh, int256 ppm) pure returns (int256) {
    return chargeWh * ppm / PPM;
}

/// Stored energy that a discharge at the terminals takes, rounded up.
function drawnWh(int256 dischargeWh, int256 ppm) pure returns (int256) {
    return (dischargeWh * PPM + ppm - 1) / ppm;
}

/// Largest energy at the terminals whose stored part fits into a room.
function chargeableWh(int256 roomWh, int256 ppm) pure returns (int256) {
    return roomWh > 0 ? ((roomWh + 1) * PPM - 1) / ppm : int256(0);
}

/// Largest energy at the terminals that a stored energy can supply.
function deliverableWh(int256 wh, int256 ppm) pure returns (int256) {
    return wh > 0 ? wh * ppm / PPM : int256(0);
}

function feedInTariff(int256 utility, Rules memory r) pure returns (int256) {
    return utility * int256(uint256(r.feedInNumerator)) / int256(uint256(r.feedInDenominator));
}

/// Price of supply and demand, U·F / ((U - F)·ratio + F), with a ratio rounded down to 1e-4.
function ratioPrice(int256 f, int256 u, int256 supply, int256 demand) pure returns (int256) {
    if (demand == 0) return supply > 0 ? f : u;
    int256 ratio = supply * 10_000 / demand;
    if (ratio >= 10_000) return f;
    int256 below = (u - f) * ratio + f * 10_000;
    return below > 0 ? u * f * 10_000 / below : u;
}

/// Price of an interval, never outside feed-in tariff and utility price.
function uniformPrice(int256 u, int256[4] memory sides, Rules memory r) pure returns (int256) {
    (int256 requests, int256 offers, int256 supply, int256 demand) = (sides[0], sides[1], sides[2], sides[3]);
    int256 f = feedInTariff(u, r);
    int256 price = u;
    if (r.pricing == FIXED) price = int256(uint256(r.fixedPrice));
    else if (r.pricing == MID_MARKET) price = (f + u) / 2;
    else if (r.pricing == SUPPLY_DEMAND_RATIO) price = ratioPrice(f, u, supply, demand);
    else if (requests + offers > 0) price = f + (u - f) * requests / (requests + offers);
    return min(max(price, f), u);
}

/// 62 pseudo-random bits of three numbers, the finaliser of SplitMix64; here alone numbers wrap around.
function randomBits(uint64 seed, uint64 interval, uint64 number) pure returns (uint64 x) {
    unchecked {
        x = seed * 0x9E3779B97F4A7C15;
        x ^= interval * 0xBF58476D1CE4E5B9;
        x += (number + 1) * 0x94D049BB133111EB;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        x = x ^ (x >> 31);
        x >>= 2;
    }
}

/// Houses in the order in which an interval serves them.
function orderArrivals(uint256 n, uint256 interval, Rules memory r) pure returns (uint256[] memory order) {
    order = new uint256[](n);
    uint256 first = r.arrival == ROTATE ? interval % n : 0;
    for (uint256 k = 0; k < n; k++) {
        order[k] = first + k < n ? first + k : first + k - n;
    }
    if (r.arrival != SHUFFLE) return order;
    for (uint256 k = n - 1; k > 0; k--) {
        uint256 j = randomBits(r.seed, uint64(interval), uint64(k)) % (k + 1);
        (order[k], order[j]) = (order[j], order[k]);
    }
}
