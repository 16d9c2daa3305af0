// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Market} from "../Market.sol";
import {Battery, Holding, StoredLot, Wish} from "../Records.sol";
import {Rules} from "../Rules.sol";

interface MarketCheats {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function prank(address sender) external;
    function warp(uint256 timestamp) external;
    function expectRevert(bytes calldata reason) external;
    function expectRevert(bytes4 reason) external;
    function assume(bool condition) external pure;
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory);
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function getCode(string calldata artifact) external view returns (bytes memory);
    function addr(uint256 key) external pure returns (address);
    function chainId(uint256 id) external;
}

/// A market with its members, for the tests.
abstract contract MarketWorld {
    MarketCheats internal constant vm = MarketCheats(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint64 internal constant FIRST_GATE = 1_000_000;
    uint32 internal constant LENGTH = 3600;
    int256 internal constant MILLION = 1_000_000;

    Market internal market;

    function check(bool condition, string memory what) internal pure {
        require(condition, what);
    }

    function makeRules(uint8 mechanism) internal pure returns (Rules memory r) {
        r.mechanism = mechanism;
        (r.feedInNumerator, r.feedInDenominator) = (1, 3);
        r.feePermille = mechanism == 3 ? 100 : 0;
        (r.betaPermille, r.tau) = (500, 3);
    }

    function makeBattery() internal pure returns (Battery memory) {
        return Battery(500, 10_000, 4000, 4000, 950_000, 930_000, 100);
    }

    function member(uint256 house) internal pure returns (address) {
        return address(uint160(0xA000 + house));
    }

    /// A new market, made of the compiled artifact: `new Market` would compile it again inside every test that has it.
    function make(Rules memory r, Market.Gates memory gates) internal returns (Market made) {
        bytes memory code = bytes.concat(vm.getCode("Market.sol:Market"), abi.encode(r, gates));
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
            if iszero(made) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }

    /// A market of n houses; every other one is poor. The operator is this contract.
    function open(Rules memory r, uint256 n, bool queued) internal {
        vm.warp(1);
        market = make(r, Market.Gates(FIRST_GATE, LENGTH, queued));
        for (uint256 i = 0; i < n; i++) {
            market.register(member(i), makeBattery(), 3000, i % 2 == 0 ? 2_000_000_000 : 0);
        }
        uint32[] memory prices = new uint32[](64);
        for (uint256 t = 0; t < 64; t++) {
            prices[t] = uint32(200_000 + 1000 * t);
        }
        market.quote(prices);
    }

    function interval() internal view returns (uint32 now_) {
        (now_,,,,) = market.progress();
    }

    function submit(uint256 house, Wish memory wish) internal {
        uint32 now_ = interval();
        vm.prank(member(house));
        market.submit(now_, wish);
    }

    function isTaken(uint256 house, Wish memory wish) internal returns (bool taken) {
        uint32 now_ = interval();
        vm.prank(member(house));
        (taken,) = address(market).call(abi.encodeCall(Market.submit, (now_, wish)));
    }

    /// Some order of a house, most of which its battery allows.
    function draw(uint256 seed) internal pure returns (Wish memory wish) {
        seed = uint256(keccak256(abi.encode(seed)));
        int32 wh = int32(int256(seed % 5000));
        wish.limit = (seed >> 32) % 4 == 0 ? int32(int256((seed >> 64) % 250_000)) : int32(-1);
        if ((seed >> 16) % 2 == 0) {
            wish.net = wh;
            if ((seed >> 40) % 2 == 0) wish.charge = int32(int256((seed >> 128) % 3000));
        } else {
            wish.net = -wh;
            wish.ask = uint8((seed >> 24) % 3);
            if ((seed >> 40) % 2 == 0) wish.charge = -int32(int256((seed >> 128) % 2000));
        }
    }

    function totalMoney() internal view returns (int256 sum) {
        (int128 utility, uint128 sharing) = market.pools();
        sum = utility + int256(uint256(sharing));
        Holding[] memory all = market.listHoldings();
        for (uint256 i = 0; i < all.length; i++) {
            sum += int256(uint256(all[i].wallet)) + all[i].account;
        }
    }

    function totalEnergy() internal view returns (int256 sum) {
        Holding[] memory all = market.listHoldings();
        for (uint256 i = 0; i < all.length; i++) {
            sum += int256(uint256(all[i].own) + uint256(all[i].hosted));
        }
    }

    /// Every Wh that a battery holds for others is a lot, and no lot is empty or due.
    function checkLots() internal view {
        Holding[] memory all = market.listHoldings();
        Market.NumberedLot[] memory lots = market.listLots();
        uint256[] memory hosted = new uint256[](all.length);
        uint256 last;
        for (uint256 k = 0; k < lots.length; k++) {
            StoredLot memory lot = lots[k].lot;
            hosted[lot.host] += lot.stored;
            check(lot.stored > 0 && lot.expiry > interval(), "an empty or due lot");
            check(k == 0 || lots[k].number > last, "lots out of order");
            last = lots[k].number;
        }
        for (uint256 i = 0; i < all.length; i++) {
            check(hosted[i] == all[i].hosted, "hosted energy is not that of the lots");
        }
    }
}
