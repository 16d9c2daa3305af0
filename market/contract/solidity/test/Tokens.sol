// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// How a token behaves: as it should, or as some do.
enum Manner {
    TRUE,
    NOTHING,
    FALSE,
    TWO,
    FEE,
    MOVES_NOTHING,
    REVERTS
}

/// A token of everybody, in its manner; its balances are what is written in.
contract Token {
    Manner public manner;
    mapping(address owner => uint256) public balanceOf;
    address private into;
    bytes private call;

    constructor(Manner manner_) {
        manner = manner_;
    }

    function mint(address owner, uint256 amount) external {
        balanceOf[owner] += amount;
    }

    function behave(Manner manner_) external {
        manner = manner_;
    }

    /// Call this, too, in the middle of every transfer.
    function reenter(address into_, bytes calldata call_) external {
        (into, call) = (into_, call_);
    }

    function transfer(address to, uint256 amount) external {
        move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        move(from, to, amount);
    }

    function move(address from, address to, uint256 amount) private {
        require(manner != Manner.REVERTS);
        if (into != address(0)) {
            (bool done, bytes memory why) = into.call(call);
            if (!done) {
                assembly ("memory-safe") {
                    revert(add(why, 32), mload(why))
                }
            }
        }
        if (manner != Manner.MOVES_NOTHING) {
            balanceOf[from] -= amount;
            balanceOf[to] += manner == Manner.FEE ? amount - amount / 100 : amount;
        }
        uint256 answer = manner == Manner.TWO ? 2 : manner == Manner.FALSE ? 0 : 1;
        if (manner == Manner.NOTHING) return;
        assembly ("memory-safe") {
            mstore(0, answer)
            return(0, 32)
        }
    }
}

/// A member that is a contract: it takes ether in its manner.
contract Taker {
    Manner private immutable manner;

    constructor(Manner manner_) {
        manner = manner_;
    }

    function run(address to, bytes calldata call) external payable returns (bytes memory) {
        (bool done, bytes memory answer) = to.call{value: msg.value}(call);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        return answer;
    }

    /// Refuses, or tries to take out once more before the first withdrawal has ended.
    receive() external payable {
        require(manner != Manner.REVERTS);
        if (manner == Manner.TWO) {
            (bool done,) = msg.sender.call(abi.encodeWithSignature("withdraw()"));
            require(!done, "withdrawn twice");
        }
    }
}
