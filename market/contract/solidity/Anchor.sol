// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {HistoryTree} from "./HistoryTree.sol";

/// @title Anchors of one ledger: sizes and root hashes of its history tree, only growing.
/// @notice An anchor is taken only with a proof that the tree extends the one anchored before, so that a ledger that
/// is rolled back or forked can be anchored no further here, and shows against what was anchored.
contract Anchor {
    /// @notice Who deployed the contract; nobody else anchors.
    address public immutable operator;
    /// @notice The ledger's chain id, zero until it is named.
    bytes32 public log;
    /// @notice Root hash by number of blocks, zero where there is no anchor.
    mapping(uint64 => bytes32) public rootOf;
    uint64[] private _sizes;

    uint256 private constant HEADER = 184;
    uint256 private constant RECORD = 72;

    event Named(bytes32 indexed log);
    event Anchored(uint64 indexed size, bytes32 root);

    error NotOperator(address sender);
    error NamedAlready(bytes32 log);
    error NoName();
    error NotGrowing(uint64 anchored, uint64 size);
    error NotConsistent(uint64 anchored, uint64 size);
    error NotAnchored(uint64 size);

    modifier onlyOperator() {
        if (msg.sender != operator) revert NotOperator(msg.sender);
        _;
    }

    /// @param log_ The ledger's chain id; zero to name it later, once.
    constructor(bytes32 log_) {
        operator = msg.sender;
        if (log_ != 0) _name(log_);
    }

    /// @notice Name the ledger that is anchored here; once.
    function name(bytes32 log_) external onlyOperator {
        if (log != 0) revert NamedAlready(log);
        if (log_ == 0) revert NoName();
        _name(log_);
    }

    function _name(bytes32 log_) private {
        log = log_;
        emit Named(log_);
    }

    /// @notice Anchor the tree of `size` blocks.
    /// @param consistency Proof that it extends the last anchor (RFC 9162 §2.1.4); empty for the first.
    function anchor(uint64 size, bytes32 root, bytes32[] calldata consistency) external onlyOperator {
        if (log == 0) revert NoName();
        uint256 n = _sizes.length;
        uint64 last = n == 0 ? 0 : _sizes[n - 1];
        if (size <= last) revert NotGrowing(last, size);
        bool extended = n == 0
            ? consistency.length == 0 && root != 0
            : HistoryTree.extends_(last, rootOf[last], size, root, consistency);
        if (!extended) revert NotConsistent(last, size);
        _sizes.push(size);
        rootOf[size] = root;
        emit Anchored(size, root);
    }

    /// @notice Number of anchors.
    function count() external view returns (uint256) {
        return _sizes.length;
    }

    /// @notice The last anchor; size 0 if there is none.
    function latest() external view returns (uint64 size, bytes32 root) {
        uint256 n = _sizes.length;
        if (n > 0) {
            size = _sizes[n - 1];
            root = rootOf[size];
        }
    }

    /// @notice Anchors from number `first` on, at most `most` of them.
    function list(uint256 first, uint256 most) external view returns (uint64[] memory sizes, bytes32[] memory roots) {
        uint256 left = first < _sizes.length ? _sizes.length - first : 0;
        uint256 n = left < most ? left : most;
        sizes = new uint64[](n);
        roots = new bytes32[](n);
        for (uint256 k = 0; k < n; k++) {
            sizes[k] = _sizes[first + k];
            roots[k] = rootOf[sizes[k]];
        }
    }

    /// @notice Whether the block with this hash is block `height` of the tree anchored with `size` blocks.
    function proveBlock(uint64 size, uint64 height, bytes32 blockHash, bytes32[] calldata path)
        external
        view
        returns (bool)
    {
        return HistoryTree.includes(_anchored(size), size, height, blockHash, path);
    }

    /// @notice Whether a record stands on the ledger: a receipt's path from the record to its block's header, and from
    /// the header to the tree anchored with `size` blocks. Height, number and sizes are read from what is hashed.
    function prove(
        uint64 size,
        bytes calldata record,
        bytes32[] calldata recordPath,
        bytes calldata header,
        bytes32[] calldata headerPath
    ) external view returns (bool) {
        bytes32 root = _anchored(size);
        if (header.length != HEADER || record.length != RECORD || bytes32(header[4:36]) != log || log == 0) return false;
        if (!_isInBlock(record, recordPath, header)) return false;
        uint64 height = _little(header[36:44]);
        return HistoryTree.includes(root, size, height, HistoryTree.leafHash(header), headerPath);
    }

    function _isInBlock(bytes calldata record, bytes32[] calldata path, bytes calldata header)
        private
        pure
        returns (bool)
    {
        uint64 seq = _little(record[8:12]);
        uint64 n = _little(header[116:120]);
        return HistoryTree.includes(bytes32(header[84:116]), n, seq, HistoryTree.leafHash(record), path);
    }

    function _anchored(uint64 size) private view returns (bytes32 root) {
        root = rootOf[size];
        if (root == 0) revert NotAnchored(size);
    }

    /// @dev The ledger's integers are little-endian.
    function _little(bytes calldata content) private pure returns (uint64 value) {
        for (uint256 k = content.length; k > 0; k--) {
            value = (value << 8) | uint64(uint8(content[k - 1]));
        }
    }
}
