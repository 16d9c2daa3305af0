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
}
