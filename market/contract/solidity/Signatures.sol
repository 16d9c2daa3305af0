// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Words} from "./Words.sol";

/// An ECDSA signature as EIP-2098 has it: one bit of `vs` is v, the other 255 are s.
struct Signature {
    bytes32 r;
    bytes32 vs;
}

/// Orders as members sign them (EIP-712): for one contract on one chain, one interval and its tariff, one house, one number.
library Signatures {
    using Words for uint256;

    bytes32 private constant DOMAIN = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant ORDER = keccak256(
        "Order(uint32 interval,int64 utility,uint16 house,int64 net,int64 charge,int64 limit,uint8 ask,uint32 number)"
    );
    bytes32 private constant NAME = keccak256("gridsettle Batch");
    bytes32 private constant VERSION = keccak256("1");
    /// Of s and -s only the smaller is taken, so that nobody can make a second signature of a first.
    uint256 private constant LARGEST_S = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    function domain() internal view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, NAME, VERSION, block.chainid, address(this)));
    }

    function digest(bytes32 domain_, uint256 interval, uint256 utility, uint256 house, uint256 word) internal pure returns (bytes32) {
        bytes32 order = keccak256(
            abi.encode(
                ORDER,
                interval,
                utility,
                house,
                word.signed(0, 64),
                word.signed(64, 64),
                word.signed(128, 64),
                word.plain(192, 8),
                word.plain(200, 32)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain_, order));
    }

    /// Who has signed; nobody (0) where it is no signature, or not the one that is taken.
    function recover(bytes32 digest_, Signature memory signature) internal pure returns (address) {
        uint256 s = uint256(signature.vs) & type(uint256).max >> 1;
        if (s == 0 || s > LARGEST_S) return address(0);
        return ecrecover(digest_, uint8(27 + (uint256(signature.vs) >> 255)), signature.r, bytes32(s));
    }
}
