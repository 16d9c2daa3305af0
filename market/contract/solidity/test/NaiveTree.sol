// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The history tree as RFC 9162 defines it, by recursion: what the proofs of HistoryTree are held against.
contract NaiveTree {
    bytes32[] public leaves;

    function grow(uint256 n) public {
        while (leaves.length < n) leaves.push(sha256(abi.encodePacked(bytes1(0), "leaf", leaves.length)));
    }

    function push(bytes memory data) public {
        leaves.push(sha256(abi.encodePacked(bytes1(0), data)));
    }

    function rootOf(uint256 first, uint256 stop) public view returns (bytes32) {
        uint256 n = stop - first;
        if (n == 0) return sha256("");
        if (n == 1) return leaves[first];
        uint256 k = split(n);
        return sha256(abi.encodePacked(bytes1(0x01), rootOf(first, first + k), rootOf(first + k, stop)));
    }

    function path(uint256 index, uint256 size) public view returns (bytes32[] memory) {
        return pathIn(index, 0, size);
    }

    function pathIn(uint256 index, uint256 first, uint256 stop) private view returns (bytes32[] memory) {
        uint256 n = stop - first;
        if (n == 1) return new bytes32[](0);
        uint256 k = split(n);
        return index < k
            ? append(pathIn(index, first, first + k), rootOf(first + k, stop))
            : append(pathIn(index - k, first + k, stop), rootOf(first, first + k));
    }

    function consistency(uint256 first, uint256 second) public view returns (bytes32[] memory) {
        return subproof(first, 0, second, true);
    }

    function subproof(uint256 m, uint256 first, uint256 stop, bool complete) private view returns (bytes32[] memory) {
        uint256 n = stop - first;
        if (m == n) return complete ? new bytes32[](0) : append(new bytes32[](0), rootOf(first, stop));
        uint256 k = split(n);
        return m <= k
            ? append(subproof(m, first, first + k, complete), rootOf(first + k, stop))
            : append(subproof(m - k, first + k, stop, false), rootOf(first, first + k));
    }

    function append(bytes32[] memory begin, bytes32 last) private pure returns (bytes32[] memory all) {
        all = new bytes32[](begin.length + 1);
        for (uint256 k = 0; k < begin.length; k++) all[k] = begin[k];
        all[begin.length] = last;
    }

    function split(uint256 n) private pure returns (uint256 k) {
        k = 1;
        while (2 * k < n) k *= 2;
    }
}
