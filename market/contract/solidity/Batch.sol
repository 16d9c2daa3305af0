// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Carried, State} from "./Carried.sol";
import {Book, Lot, Matching} from "./Matching.sol";
import {Roster} from "./Roster.sol";
import {Rules, checkRules} from "./Rules.sol";
import {Delivery, Settlement, Sums} from "./Settlement.sol";
import {Signature, Signatures} from "./Signatures.sol";

/// What the operator brings of an interval: the state before it, what houses want, and what the network admitted.
struct Interval {
    State state;
    uint64 utility; // price of the utility, µEUR/kWh
    uint256[] orders; // one a house
    Delivery delivery;
}

/// A market whose operator brings each interval in one call. The contract clears and settles it by itself, and keeps only
/// the digest of the state: what it settles follows from the calls, which everybody can read, and from nothing else.
contract Batch {
    event Opened(uint256 interval, bytes32 head);
    /// `exchanges` as `Words` lays them out, `verdict` the digest of what the network said of them.
    event Settled(uint256 indexed interval, bytes32 indexed verdict, int256 price, bytes32 head, uint256[] exchanges);

    error NotOperator();
    error SignaturesRequired();
    error BadMembers();
    /// The state that was brought is not the one that the last interval left.
    error AnotherState(bytes32 expected, bytes32 got);
    error WrongCount(uint256 expected, uint256 got);
    /// No signature of this member over this order of this interval.
    error NotSigned(uint256 house);
    /// A signed order whose number is not above that of the member's last.
    error OldOrder(uint256 house);
    /// A house that signed nothing is to do something.
    error NotWanted(uint256 house);
    error UnknownBits(uint256 house);

    address public immutable operator;
    address public immutable roster;
    uint256 public immutable count;
    /// Whether every interval needs the members' signatures.
    bool public immutable signedOnly;
    Rules public rules;
    bytes32 public head;

    constructor(Rules memory rules_, bool signedOnly_, address[] memory members_, uint256[] memory ratings, State memory opening) {
        checkRules(rules_);
        uint256 n = members_.length;
        if (ratings.length != n) revert WrongCount(n, ratings.length);
        Carried.check(opening, n);
        for (uint256 i = 0; i < n; i++) {
            if (members_[i] == address(0)) revert BadMembers();
            Carried.checkRatings(ratings[i], i);
        }
        operator = msg.sender;
        roster = Roster.write(members_, ratings);
        count = n;
        signedOnly = signedOnly_;
        rules = rules_;
        head = Carried.headOf(opening);
        emit Opened(opening.tally >> 160, head);
    }

    /// Clear and settle the next interval by orders that the operator vouches for.
    function clear(Interval calldata interval) external {
        if (signedOnly) revert SignaturesRequired();
        record(interval, false);
    }

    /// The same by orders that the members have signed. A member that is silent (number 0) can only be served by the grid,
    /// or have its surplus sold; its battery stands still.
    function clearSigned(Interval calldata interval, Signature[] calldata signatures) external {
        checkSignatures(interval, signatures);
        record(interval, true);
    }

    /// State and exchanges that an interval would give.
    function preview(Interval calldata interval, bool signed) external view returns (State memory next, uint256[] memory exchanges) {
        (next, exchanges,) = settle(interval, signed);
    }

    /// What a member signs for an order in an interval at a tariff.
    function orderDigest(uint256 interval, uint64 utility, uint256 house, uint256 order) external view returns (bytes32) {
        return Signatures.digest(Signatures.domain(), interval, utility, house, order);
    }

    function members() external view returns (address[] memory) {
        return Roster.readMembers(roster, count);
    }

    function ratingsOf() external view returns (uint256[] memory) {
        return Roster.readRatings(roster, count);
    }

    function record(Interval calldata interval, bool signed) private {
        if (msg.sender != operator) revert NotOperator();
        (State memory next, uint256[] memory exchanges, int256 price) = settle(interval, signed);
        head = Carried.headOf(next);
        emit Settled(interval.state.tally >> 160, interval.delivery.verdict, price, head, exchanges);
    }

    function settle(Interval calldata interval, bool signed)
        private
        view
        returns (State memory next, uint256[] memory exchanges, int256 price)
    {
        State memory state = interval.state;
        bytes32 got = Carried.headOf(state);
        if (got != head) revert AnotherState(head, got);
        if (interval.orders.length != count) revert WrongCount(count, interval.orders.length);
        Book memory book;
        book.rules = rules;
        book.interval = state.tally >> 160;
        book.utility = int256(uint256(interval.utility));
        Sums memory sums = Carried.readSums(state);
        book.payable_ = sums.sharing;
        Carried.open(book, state, Roster.readRatings(roster, count));
        uint256[] memory orders = interval.orders;
        Carried.openOrders(book, orders);
        book.rows = Matching.openRows(book.lots.length + 11 * count + 1);
        Matching.clear(book);
        Settlement.deliver(book, interval.delivery);
        Settlement.pay(book, sums);
        Lot[] memory lots = Settlement.move(book, sums);
        Settlement.closeHouses(book);
        next = Carried.close(book, sums, lots, state, orders, signed);
        exchanges = Carried.listExchanges(book);
        price = book.price;
    }

    function checkSignatures(Interval calldata interval, Signature[] calldata signatures) private view {
        if (signatures.length != interval.orders.length) revert WrongCount(interval.orders.length, signatures.length);
        if (interval.orders.length != count) revert WrongCount(count, interval.orders.length);
        address[] memory all = Roster.readMembers(roster, count);
        bytes32 domain = Signatures.domain();
        uint256 number = interval.state.tally >> 160;
        for (uint256 i = 0; i < all.length; i++) {
            uint256 order = interval.orders[i];
            if (order >> 232 != 0) revert UnknownBits(i);
            if (order >> 200 == 0) {
                if (order >> 192 != 0 || (order >> 64) & type(uint64).max != 0) revert NotWanted(i);
                continue;
            }
            if (order >> 200 <= interval.state.houses[i] >> 192) revert OldOrder(i);
            bytes32 digest = Signatures.digest(domain, number, interval.utility, i, order);
            if (Signatures.recover(digest, signatures[i]) != all[i]) revert NotSigned(i);
        }
    }
}
