// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Anchor} from "../Anchor.sol";
import {NaiveTree} from "./NaiveTree.sol";

interface Cheats {
    function prank(address sender) external;
    function expectRevert(bytes calldata reason) external;
    function assume(bool condition) external pure;
}

contract AnchorTest {
    Cheats private constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));
    bytes32 private constant LOG = keccak256("a log");
    NaiveTree private tree;
    Anchor private anchored;

    function setUp() public {
        tree = new NaiveTree();
        tree.grow(64);
        anchored = new Anchor(LOG);
    }

    function check(bool condition, string memory what) private pure {
        require(condition, what);
    }

    function anchorFirst(uint64 size) private {
        anchored.anchor(size, tree.rootOf(0, size), new bytes32[](0));
    }

    function test_every_block_below_64_is_proven_and_nothing_else() public {
        for (uint64 n = 1; n < 64; n++) {
            Anchor one = new Anchor(LOG);
            one.anchor(n, tree.rootOf(0, n), new bytes32[](0));
            for (uint64 i = 0; i < n; i++) {
                bytes32[] memory path = tree.path(i, n);
                check(one.proveBlock(n, i, tree.leaves(i), path), "a right path is refused");
                check(!one.proveBlock(n, i, tree.leaves((i + 1) % 64), path), "another leaf");
                check(!one.proveBlock(n, i ^ 1, tree.leaves(i), path) || n == 1, "another index");
                check(!one.proveBlock(n, n, tree.leaves(i), path), "an index outside");
            }
        }
    }

    function test_every_growth_below_64_is_taken_and_no_other() public {
        for (uint64 m = 1; m < 64; m++) {
            for (uint64 n = m + 1; n < 64; n++) {
                Anchor one = new Anchor(LOG);
                one.anchor(m, tree.rootOf(0, m), new bytes32[](0));
                bytes32[] memory proof = tree.consistency(m, n);
                bytes32 root = tree.rootOf(0, n);
                vm.expectRevert(abi.encodeWithSelector(Anchor.NotConsistent.selector, m, n));
                one.anchor(n, keccak256("another"), proof);
                one.anchor(n, root, proof);
                (uint64 size, bytes32 last) = one.latest();
                check(size == n && last == root && one.count() == 2, "not the last anchor");
            }
        }
    }

    function testFuzz_a_tampered_path_proves_nothing(uint8 size, uint8 index, uint8 place, uint8 bit) public {
        uint64 n = 2 + size % 62;
        uint64 i = index % n;
        anchorFirst(n);
        bytes32[] memory path = tree.path(i, n);
        bytes32[] memory shorter = new bytes32[](path.length - 1);
        bytes32[] memory longer = new bytes32[](path.length + 1);
        for (uint256 k = 0; k < path.length; k++) {
            longer[k] = path[k];
            if (k + 1 < path.length) shorter[k] = path[k];
        }
        check(!anchored.proveBlock(n, i, tree.leaves(i), shorter), "a shorter path");
        check(!anchored.proveBlock(n, i, tree.leaves(i), longer), "a longer path");
        path[place % path.length] ^= bytes32(uint256(1) << bit);
        check(!anchored.proveBlock(n, i, tree.leaves(i), path), "a changed path");
    }

    function testFuzz_a_forged_consistency_is_refused(uint8 first, uint8 more, uint8 place, uint8 bit) public {
        uint64 m = 1 + first % 60;
        uint64 n = m + 1 + more % (63 - m);
        anchorFirst(m);
        bytes32[] memory proof = tree.consistency(m, n);
        bytes32 root = tree.rootOf(0, n);
        proof[place % proof.length] ^= bytes32(uint256(1) << bit);
        vm.expectRevert(abi.encodeWithSelector(Anchor.NotConsistent.selector, m, n));
        anchored.anchor(n, root, proof);
    }

    function testFuzz_any_proof_of_anything_else_is_refused(uint64 size, bytes32 root, bytes32[] calldata proof) public {
        anchorFirst(5);
        vm.assume(size > 5);
        vm.expectRevert(abi.encodeWithSelector(Anchor.NotConsistent.selector, 5, size));
        anchored.anchor(size, root, proof);
    }

    function testFuzz_anchors_only_grow(uint8 first, uint8 second) public {
        uint64 m = 1 + first % 63;
        uint64 n = second % (m + 1);
        anchorFirst(m);
        bytes32 root = tree.rootOf(0, n);
        vm.expectRevert(abi.encodeWithSelector(Anchor.NotGrowing.selector, m, n));
        anchored.anchor(n, root, new bytes32[](0));
    }

    function testFuzz_only_the_operator_anchors_and_names(address other) public {
        vm.assume(other != address(this));
        bytes memory reason = abi.encodeWithSelector(Anchor.NotOperator.selector, other);
        vm.expectRevert(reason);
        vm.prank(other);
        anchored.anchor(1, keccak256("root"), new bytes32[](0));
        Anchor unnamed = new Anchor(0);
        vm.expectRevert(reason);
        vm.prank(other);
        unnamed.name(LOG);
    }

    function test_a_log_is_named_once_and_before_its_first_anchor() public {
        Anchor unnamed = new Anchor(0);
        vm.expectRevert(abi.encodeWithSelector(Anchor.NoName.selector));
        unnamed.anchor(1, keccak256("root"), new bytes32[](0));
        vm.expectRevert(abi.encodeWithSelector(Anchor.NoName.selector));
        unnamed.name(0);
        unnamed.name(LOG);
        vm.expectRevert(abi.encodeWithSelector(Anchor.NamedAlready.selector, LOG));
        unnamed.name(LOG);
        unnamed.anchor(1, keccak256("root"), new bytes32[](0));
    }

    function test_a_first_anchor_has_no_proof_and_a_root() public {
        vm.expectRevert(abi.encodeWithSelector(Anchor.NotConsistent.selector, 0, 1));
        anchored.anchor(1, keccak256("root"), new bytes32[](1));
        vm.expectRevert(abi.encodeWithSelector(Anchor.NotConsistent.selector, 0, 1));
        anchored.anchor(1, 0, new bytes32[](0));
    }

    function test_what_is_not_anchored_proves_nothing() public {
        anchorFirst(4);
        vm.expectRevert(abi.encodeWithSelector(Anchor.NotAnchored.selector, 3));
        anchored.proveBlock(3, 0, bytes32(0), new bytes32[](0));
    }

    function test_the_list_is_what_was_anchored() public {
        anchorFirst(3);
        for (uint64 n = 4; n <= 12; n++) anchored.anchor(n, tree.rootOf(0, n), tree.consistency(n - 1, n));
        (uint64[] memory sizes, bytes32[] memory roots) = anchored.list(2, 5);
        check(sizes.length == 5 && roots.length == 5, "not five");
        for (uint64 k = 0; k < 5; k++) {
            check(sizes[k] == k + 5 && roots[k] == tree.rootOf(0, k + 5), "another anchor");
        }
        (sizes,) = anchored.list(9, type(uint256).max);
        check(sizes.length == 1 && sizes[0] == 12, "not the last");
        (sizes,) = anchored.list(type(uint256).max, 1);
        check(sizes.length == 0, "one behind the last");
    }

    /// A receipt in a log of `n` blocks, whose block `height` has `m` records.
    struct Receipt {
        bytes record;
        bytes32[] recordPath;
        bytes header;
        bytes32[] headerPath;
    }

    function little(uint256 value, uint256 length) private pure returns (bytes memory content) {
        content = new bytes(length);
        for (uint256 k = 0; k < length; k++) content[k] = bytes1(uint8(value >> (8 * k)));
    }

    function recordOf(uint256 seq) private pure returns (bytes memory) {
        return abi.encodePacked(little(1, 8), little(seq, 4), keccak256(abi.encode(seq)), new bytes(28));
    }

    function makeReceipt(uint64 n, uint64 height, uint64 m, uint64 seq) private returns (Anchor one, Receipt memory made) {
        NaiveTree records = new NaiveTree();
        for (uint64 k = 0; k < m; k++) records.push(recordOf(k));
        made.record = recordOf(seq);
        made.recordPath = records.path(seq, m);
        made.header = abi.encodePacked(
            little(1, 4), LOG, little(height, 8), new bytes(40), records.rootOf(0, m), little(m, 4), new bytes(64)
        );
        check(made.record.length == 72 && made.header.length == 184, "another layout");
        NaiveTree blocks = new NaiveTree();
        for (uint64 k = 0; k < n; k++) {
            if (k == height) blocks.push(made.header);
            else blocks.push(abi.encode("another block", k));
        }
        made.headerPath = blocks.path(height, n);
        one = new Anchor(LOG);
        one.anchor(n, blocks.rootOf(0, n), new bytes32[](0));
    }

    function testFuzz_a_receipt_is_proven_and_a_tampered_one_is_not(uint8 a, uint8 b, uint8 c, uint8 d, uint256 what)
        public
    {
        uint64 n = 1 + a % 12;
        uint64 m = 1 + c % 12;
        (Anchor one, Receipt memory made) = makeReceipt(n, b % n, m, d % m);
        check(one.prove(n, made.record, made.recordPath, made.header, made.headerPath), "a right receipt");
        uint256 place = what >> 8;
        if (what % 4 == 0) made.record[place % 72] ^= 0x01;
        else if (what % 4 == 1) made.header[place % 184] ^= 0x01;
        else if (what % 4 == 2 && m > 1) made.recordPath[place % made.recordPath.length] ^= bytes32(uint256(1));
        else if (n > 1) made.headerPath[place % made.headerPath.length] ^= bytes32(uint256(1) << 255);
        else return;
        check(!one.prove(n, made.record, made.recordPath, made.header, made.headerPath), "a tampered receipt");
    }

    function test_a_receipt_of_another_log_length_or_size_is_refused() public {
        (Anchor one, Receipt memory made) = makeReceipt(5, 3, 4, 2);
        vm.expectRevert(abi.encodeWithSelector(Anchor.NotAnchored.selector, 6));
        one.prove(6, made.record, made.recordPath, made.header, made.headerPath);
        bytes memory longer = abi.encodePacked(made.record, bytes1(0));
        check(!one.prove(5, longer, made.recordPath, made.header, made.headerPath), "a longer record");
        longer = abi.encodePacked(made.header, bytes1(0));
        check(!one.prove(5, made.record, made.recordPath, longer, made.headerPath), "a longer header");
        Anchor unnamed = new Anchor(0);
        vm.expectRevert(abi.encodeWithSelector(Anchor.NotAnchored.selector, 5));
        unnamed.prove(5, made.record, made.recordPath, made.header, made.headerPath);
    }

    function test_every_index_below_64_is_proven_for_its_own_size_only() public {
        for (uint64 n = 1; n < 64; n++) {
            Anchor one = new Anchor(LOG);
            one.anchor(n, tree.rootOf(0, n), new bytes32[](0));
            one.anchor(n + 1, tree.rootOf(0, n + 1), tree.consistency(n, n + 1));
            for (uint64 i = 0; i < n; i += 1 + n / 8) {
                bytes32[] memory path = tree.path(i, n);
                check(one.proveBlock(n, i, tree.leaves(i), path), "its own size");
                check(!one.proveBlock(n + 1, i, tree.leaves(i), path), "another size");
            }
        }
    }
}
