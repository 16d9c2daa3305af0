// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// How numbers lie in words of 256 bits, lowest first; `market/contract/batch.py` writes and reads the same.
///
/// house     own Wh 64 · wallet nEUR 64 · account nEUR 64 · number of its last signed order 32
/// ratings   least and largest charge 40 + 40 · most charged and discharged 40 + 40 · three rates in ppm, 20 each
/// lot       number 32 · owner 16 · host 16 · stored Wh 64 · expiry 32
/// pools     utility 64 · contract 64 · operator 64
/// tally     next lot 32 · stored 64 · sold 64 · next interval 32
/// order     net Wh 64 · charge Wh 64 · limit µEUR/kWh 64 · ask 8 · number 32
/// cut       row 16 · delivered Wh 48
/// change    house 16 · absorbed Wh 48 · released Wh 48 · shed Wh 48
/// exchange  kind 8 · seller 16 · buyer 16 · host 16 · lot 32 · cleared Wh 48 · delivered Wh 48 · price 48
library Words {
    /// A number does not fit into its place.
    error OutOfBounds(int256 value);

    function signed(uint256 word, uint256 position, uint256 bits) internal pure returns (int256) {
        unchecked {
            return int256(word << (256 - bits - position)) >> (256 - bits);
        }
    }

    function plain(uint256 word, uint256 position, uint256 bits) internal pure returns (int256) {
        unchecked {
            return int256((word >> position) & ((1 << bits) - 1));
        }
    }

    function putSigned(int256 value, uint256 position, uint256 bits) internal pure returns (uint256) {
        unchecked {
            if (value >> (bits - 1) != value >> 255) revert OutOfBounds(value);
            return (uint256(value) & ((1 << bits) - 1)) << position;
        }
    }

    function putPlain(int256 value, uint256 position, uint256 bits) internal pure returns (uint256) {
        unchecked {
            if (uint256(value) >> bits != 0) revert OutOfBounds(value);
            return uint256(value) << position;
        }
    }
}
