// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Book, Exchange, House, Lot, Matching} from "./Matching.sol";
import {Battery, Holding, Order, Records, StoredLot, Wish} from "./Records.sol";
import {BadRules, Rules, checkRules} from "./Rules.sol";
import {Settlement, Sums} from "./Settlement.sol";

/// A local market as both studies run theirs: members order, anybody clears, and the contract alone says who gets what for how much.
/// Energies in Wh, prices in µEUR/kWh, money in nEUR. Storage holds the state at the begin of the interval that takes orders.
contract Market {
    /// What is open: the interval that takes orders, the oldest lot that may be alive, the number of the next; Wh of prosumers' lots.
    struct Progress {
        uint32 interval;
        uint32 oldestLot;
        uint32 nextLot;
        uint64 stored;
        uint64 sold;
    }

    /// Money of the utility and of the sharing contract, nEUR.
    struct Pools {
        int128 utility;
        uint128 sharing;
    }

    /// When orders are taken: those of interval t until `firstGate` + t·`length`, Unix seconds.
    struct Gates {
        uint64 firstGate;
        uint32 length;
        bool queued; // whether the operator's tickets say who is served first, not the rule of arrival
    }

    /// A lot with its number, as `lots` tells it.
    struct NumberedLot {
        uint256 number;
        StoredLot lot;
    }

    uint256 public constant MOST_MEMBERS = 4096;
    bytes32 private constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant TICKET_TYPE = keccak256("Ticket(uint32 interval,uint32 house,uint32 number)");

    address public immutable operator;
    uint256 private immutable RULES_LOW;
    uint256 private immutable RULES_HIGH;
    uint64 private immutable FIRST_GATE;
    uint32 private immutable LENGTH;
    bool public immutable queued;

    Progress public progress;
    Pools public pools;
    address[] public members;
    mapping(address member => uint256) private places; // house + 1
    mapping(uint256 house => Battery) public batteries;
    mapping(uint256 house => Holding) public holdings;
    mapping(uint256 house => Order) public orders;
    mapping(uint256 number => StoredLot) private stored;
    uint32[] private prices;

    event Registered(uint256 indexed house, address indexed member, uint256 own, uint256 wallet);
    event Quoted(uint256 indexed interval, uint32[] prices);
    event Ordered(uint256 indexed interval, uint256 indexed house, Wish wish, uint32 number);
    /// One exchange: kinds and parties (-1 grid, -2 sharing contract, -4 nobody) as in `market/exchanges.py`.
    event Exchanged(
        uint256 indexed interval,
        int256 indexed seller,
        int256 indexed buyer,
        int256 kind,
        int256 host,
        int256 lot,
        int256 wh,
        int256 price
    );
    event Cleared(uint256 indexed interval, int256 utilityPrice, int256 price, uint256 exchanges);

    error OnlyOperator();
    error OnlyMembers();
    error AlreadyMember(address member);
    error NoMember();
    error TooManyMembers();
    error NotTakingOrders(uint256 interval, uint256 expected);
    error NotQuoted(uint256 interval);
    error GateClosed(uint256 since);
    error GateOpen(uint256 until);
    error OnlyOnce(uint256 house, uint256 interval);
    error Unrepresentable();
    error TicketExpected();
    error NoTicketExpected();
    error ForgedTicket();

    modifier onlyOperator() {
        if (msg.sender != operator) revert OnlyOperator();
        _;
    }

    constructor(Rules memory r, Gates memory gates) {
        checkRules(r);
        if (r.compensation != 0 || gates.length == 0) revert BadRules();
        operator = msg.sender;
        (RULES_LOW, RULES_HIGH) = Records.pack(r);
        (FIRST_GATE, LENGTH, queued) = (gates.firstGate, gates.length, gates.queued);
    }

    /// Take a house in: its battery, what is in it at the end of the interval before, and its money.
    function register(address member, Battery calldata battery, uint40 own, uint64 wallet) external onlyOperator {
        if (member == address(0)) revert OnlyMembers();
        if (places[member] != 0) revert AlreadyMember(member);
        if (members.length == MOST_MEMBERS) revert TooManyMembers();
        Records.check(battery);
        uint256 house = members.length;
        members.push(member);
        places[member] = house + 1;
        batteries[house] = battery;
        int256 left = Records.rest(int256(uint256(own)), int256(uint256(battery.selfDischargePpm)));
        holdings[house] = Holding(uint40(uint256(left)), 0, wallet, 0);
        emit Registered(house, member, own, wallet);
    }

    /// Tell the utility's prices of the next intervals that have none; what is told stays.
    function quote(uint32[] calldata next) external onlyOperator {
        emit Quoted(prices.length, next);
        for (uint256 k = 0; k < next.length; k++) {
            prices.push(next[k]);
        }
    }

    /// Order for the interval that takes orders, once.
    function submit(uint32 interval, Wish calldata wish) external {
        if (queued) revert TicketExpected();
        place(houseOf(msg.sender), wish, interval, 0);
    }

    /// Order where the operator numbers orders as they come in: an EIP-712 signature of `Ticket(interval, house, number)` by the
    /// operator goes with it. A block's order is the block builder's, and batched calls are not mined as they were sent.
    function submitWithTicket(uint32 interval, Wish calldata wish, uint32 number, uint8 v, bytes32 r, bytes32 s)
        external
    {
        if (!queued) revert NoTicketExpected();
        uint256 house = houseOf(msg.sender);
        if (ecrecover(hashTicket(interval, house, number), v, r, s) != operator) revert ForgedTicket();
        place(house, wish, interval, number);
    }

    /// Clear the interval that takes orders, and begin the next: by anybody, once the gate is closed or all have ordered.
    function clear() external {
        Progress memory p = progress;
        (Book memory book, Sums memory sums) = open(p);
        if (queued) Matching.serve(book);
        else Matching.clear(book);
        emitExchanges(book);
        Settlement.pay(book, sums);
        Lot[] memory left = Settlement.move(book, sums);
        Settlement.closeHouses(book);
        keepLots(book, left, p);
        keepHouses(book);
        keepSums(book, sums, p);
    }

    function rules() public view returns (Rules memory) {
        return Records.unpack(RULES_LOW, RULES_HIGH);
    }

    /// When orders of an interval are no longer taken, Unix seconds.
    function gate(uint256 interval) public view returns (uint256) {
        return uint256(FIRST_GATE) + interval * LENGTH;
    }

    function countMembers() external view returns (uint256) {
        return members.length;
    }

    /// The house of a member.
    function houseOf(address member) public view returns (uint256) {
        uint256 position = places[member];
        if (position == 0) revert OnlyMembers();
        return position - 1;
    }

    function utilityPrice(uint256 interval) public view returns (uint256) {
        if (interval >= prices.length) revert NotQuoted(interval);
        return prices[interval];
    }

    function listHoldings() external view returns (Holding[] memory all) {
        all = new Holding[](members.length);
        for (uint256 i = 0; i < all.length; i++) {
            all[i] = holdings[i];
        }
    }

    /// All lots that are alive, oldest first.
    function listLots() external view returns (NumberedLot[] memory all) {
        Lot[] memory alive = readLots(progress);
        all = new NumberedLot[](alive.length);
        for (uint256 k = 0; k < alive.length; k++) {
            all[k] = NumberedLot(uint256(alive[k].number), Records.store(alive[k]));
        }
    }

    /// What the operator signs that a house is served by its number: fair if numbers are given as orders come in.
    function hashTicket(uint32 interval, uint256 house, uint32 number) public view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(DOMAIN_TYPE, keccak256("gridsettle market"), keccak256("1"), block.chainid, address(this))
        );
        return
            keccak256(abi.encodePacked(hex"1901", domain, keccak256(abi.encode(TICKET_TYPE, interval, house, number))));
    }

    /// Keep an order that the clock, the battery and the wallet allow.
    function place(uint256 house, Wish calldata wish, uint32 interval, uint32 number) private {
        if (interval != progress.interval) revert NotTakingOrders(interval, progress.interval);
        if (block.timestamp >= gate(interval)) revert GateClosed(gate(interval));
        if (isFor(orders[house], interval)) revert OnlyOnce(house, interval);
        if (wish.net == type(int32).min || wish.charge == type(int32).min) revert Unrepresentable();
        Order memory order = Order(wish.net, wish.charge, wish.ask, wish.limit, interval, number, true);
        Book memory book;
        book.rules = rules();
        book.utility = int256(utilityPrice(interval));
        Matching.openHouse(book, Records.load(holdings[house], batteries[house], order), house);
        orders[house] = order;
        emit Ordered(interval, house, wish, number);
    }

    function isFor(Order memory order, uint256 interval) private pure returns (bool) {
        return order.taken && order.interval == interval;
    }

    /// The interval in memory, once everybody has ordered or nobody can any more.
    function open(Progress memory p) private view returns (Book memory book, Sums memory sums) {
        uint256 n = members.length;
        if (n == 0) revert NoMember();
        book.rules = rules();
        book.interval = p.interval;
        book.utility = int256(utilityPrice(p.interval));
        book.nextLot = int256(uint256(p.nextLot));
        book.houses = new House[](n);
        book.order = new uint256[](n);
        bool complete = openHouses(book);
        if (!complete && block.timestamp < gate(p.interval)) revert GateOpen(gate(p.interval));
        book.lots = readLots(p);
        book.rows = Matching.openRows(book.lots.length + 7 * n);
        Pools memory money = pools;
        sums =
            Sums(money.utility, int256(uint256(money.sharing)), 0, int256(uint256(p.stored)), int256(uint256(p.sold)));
        book.payable_ = sums.sharing;
    }

    /// Houses with their orders; those that have none are served last, and have nothing to be served with.
    function openHouses(Book memory book) private view returns (bool complete) {
        complete = true;
        uint256[] memory numbers = new uint256[](book.houses.length);
        for (uint256 i = 0; i < numbers.length; i++) {
            Order memory order = orders[i];
            bool missing = !isFor(order, book.interval);
            Order memory none;
            book.houses[i] = Records.load(holdings[i], batteries[i], missing ? none : order);
            Matching.openOrder(book, i);
            numbers[i] = missing ? type(uint256).max : order.number;
            complete = complete && !missing;
        }
        if (queued) book.order = sort(numbers);
    }

    /// Houses by ascending number; of equal numbers the house that was registered first.
    function sort(uint256[] memory numbers) private pure returns (uint256[] memory order) {
        order = new uint256[](numbers.length);
        for (uint256 i = 0; i < numbers.length; i++) {
            uint256 position = i;
            for (; position > 0 && numbers[order[position - 1]] > numbers[i]; position--) {
                order[position] = order[position - 1];
            }
            order[position] = i;
        }
    }

    function readLots(Progress memory p) private view returns (Lot[] memory lots) {
        lots = new Lot[](p.nextLot - p.oldestLot);
        uint256 size;
        for (uint256 number = p.oldestLot; number < p.nextLot; number++) {
            StoredLot memory lot = stored[number];
            if (lot.stored > 0) lots[size++] = Records.load(number, lot);
        }
        assembly ("memory-safe") {
            mstore(lots, size)
        }
    }

    function emitExchanges(Book memory book) private {
        for (uint256 k = 0; k < book.written; k++) {
            Exchange memory row = book.rows[k];
            emit Exchanged(book.interval, row.seller, row.buyer, row.kind, row.host, row.lot, row.cleared, row.price);
        }
        emit Cleared(book.interval, book.utility, book.price, book.written);
    }

    /// Lots at the begin of the next interval: what is sold or has expired is deleted, and its host's what has expired.
    function keepLots(Book memory book, Lot[] memory left, Progress memory p) private {
        for (uint256 k = 0; k < book.lots.length; k++) {
            if (book.lots[k].open == 0) delete stored[uint256(book.lots[k].number)];
        }
        uint256 oldest = uint256(book.nextLot);
        for (uint256 k = left.length; k > 0; k--) {
            Lot memory lot = left[k - 1];
            uint256 number = uint256(lot.number);
            bool isNew = number >= p.nextLot;
            if (lot.expiry <= int256(book.interval + 1)) {
                House memory host = book.houses[uint256(lot.host)];
                host.own += lot.open;
                host.hosted -= lot.open;
                if (!isNew) delete stored[number];
            } else {
                if (isNew || lot.open != lot.stored) stored[number] = Records.store(lot);
                oldest = number;
            }
        }
        p.oldestLot = uint32(oldest);
    }

    function keepHouses(Book memory book) private {
        for (uint256 i = 0; i < book.houses.length; i++) {
            House memory h = book.houses[i];
            h.own = Records.rest(h.own, h.ratings.selfDischargePpm);
            holdings[i] = Records.store(h);
        }
    }

    function keepSums(Book memory book, Sums memory sums, Progress memory p) private {
        pools = Pools(int128(sums.utility), uint128(Records.fit(sums.sharing, 128)));
        p.interval++;
        p.nextLot = uint32(Records.fit(book.nextLot, 32));
        p.stored = uint64(Records.fit(sums.stored, 64));
        p.sold = uint64(Records.fit(sums.sold, 64));
        progress = p;
    }
}
