// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Proofs of the history tree of RFC 9162 §2.1, with SHA-256.
/// @notice A leaf is SHA-256(0x00 ‖ data), a node SHA-256(0x01 ‖ left ‖ right). Index and sizes come from what is
/// signed, hashed or stored, never from the proof.
library HistoryTree {
    function leafHash(bytes memory data) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), data));
    }

    function nodeHash(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }

    /// @notice Whether leaf `index` of the tree of `size` leaves with this root is `leaf` (RFC 9162 §2.1.3.2).
    function includes(bytes32 root, uint64 size, uint64 index, bytes32 leaf, bytes32[] calldata path)
        internal
        pure
        returns (bool)
    {
        if (index >= size) return false;
        uint64 last = size - 1;
        uint256 used = 0;
        bytes32 node = leaf;
        while (last > 0) {
            if (index & 1 == 1 || index < last) {
                if (used == path.length) return false;
                bytes32 sibling = path[used++];
                node = index & 1 == 1 ? nodeHash(sibling, node) : nodeHash(node, sibling);
            }
            index >>= 1;
            last >>= 1;
        }
        return used == path.length && node == root;
    }

    /// @notice Whether the tree of `second` leaves extends that of `first` (RFC 9162 §2.1.4.2).
    function extends_(uint64 first, bytes32 firstRoot, uint64 second, bytes32 secondRoot, bytes32[] calldata proof)
        internal
        pure
        returns (bool)
    {
        if (first == 0 || first > second) return false;
        if (first == second) return proof.length == 0 && firstRoot == secondRoot;
        if (proof.length > 128) return false;
        uint256 used = 0;
        bytes32 older = firstRoot;
        if (first & (first - 1) != 0) {
            if (proof.length == 0) return false;
            older = proof[0];
            used = 1;
        }
        bytes32 newer = older;
        uint64 fn = first - 1;
        uint64 sn = second - 1;
        while (fn & 1 == 1) {
            fn >>= 1;
            sn >>= 1;
        }
        for (; used < proof.length; used++) {
            if (sn == 0) return false;
            bytes32 node = proof[used];
            if (fn & 1 == 1 || fn == sn) {
                older = nodeHash(node, older);
                newer = nodeHash(node, newer);
                while (fn & 1 == 0 && fn != 0) {
                    fn >>= 1;
                    sn >>= 1;
                }
            } else {
                newer = nodeHash(newer, node);
            }
            fn >>= 1;
            sn >>= 1;
        }
        return sn == 0 && older == firstRoot && newer == secondRoot;
    }
}
