// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

interface Token {
    function balanceOf(address owner) external view returns (uint256);
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// Net positions of a period, settled among deposits in ether or in a token. What is moved adds up to zero and nobody is
/// taken below zero, so all that members can be told they have is here. What they may lose is what they deposited. What
/// one owes beyond its deposit is missing to those who receive in the period, pro rata, and stops nobody else.
contract Escrow {
    event Enrolled(uint256 indexed member, address owner);
    event Deposited(uint256 indexed member, uint256 amount);
    event Announced(uint256 indexed member, uint256 amount);
    event Withdrawn(uint256 indexed member, uint256 amount);
    /// `source` is the digest of what the positions follow from: a block of a ledger, a head of a market. What moved is
    /// the positions, less what `Uncovered` and `Borne` of the period say.
    event PeriodSettled(uint256 indexed period, bytes32 indexed source, int256[] positions);
    /// So much of what a member owes is not in its account.
    event Uncovered(uint256 indexed period, uint256 indexed member, uint256 missing);
    /// So much less a member receives, since others are not covered.
    event Borne(uint256 indexed period, uint256 indexed member, uint256 missing);

    error NotOperator();
    error NotMember(address sender);
    error BadMember(address owner);
    error NoToken(address token);
    error WrongValue(uint256 expected, uint256 got);
    error BadClock(uint256 begin, uint256 length, uint256 patience);
    error WrongPeriod(uint256 expected, uint256 got);
    error NotOver(uint256 period, uint256 end);
    error WrongCount(uint256 expected, uint256 got);
    /// Positions of a period that do not add up to zero.
    error NotBalanced(int256 sum);
    /// More is missing than the operator said may be.
    error NotCovered(uint256 missing, uint256 mayMiss);
    error TooMuch(uint256 most, uint256 asked);
    /// Neither is the period settled, nor is it that time.
    error TooEarly(uint256 period, uint256 time);
    error Reentered();
    /// The token says that it did not move, or says something else than a token does.
    error TokenRefused(address token);
    /// Other than the amount arrived: a token that takes fees, or changes balances by itself, is not taken.
    error TokenTakesFees(uint256 expected, uint256 got);
    error EtherRefused(address to);

    struct Account {
        uint128 balance;
        uint128 leaving; // of it, announced to be withdrawn
    }

    /// Periods follow one another without a gap, each `length` seconds long.
    struct Clock {
        uint64 first; // number of the first period
        uint64 begin; // of the first period, Unix seconds
        uint64 length;
        uint64 patience; // seconds from a period's end in which the operator is to settle it
    }

    /// Patience is a period and this time at least, so that who misses one turn to settle is in time at the next.
    uint256 public constant MARGIN = 1 days;
    /// Nothing is farther off: neither the first period, nor the end of patience from that of its period.
    uint256 public constant LONGEST = 366 days;
    /// No account and no sum is larger.
    uint256 private constant MOST = type(uint128).max;

    address public immutable operator;
    /// Address of the token, 0 for ether.
    address public immutable token;
    uint256 private immutable first;
    uint256 public immutable begin;
    uint256 public immutable length;
    uint256 public immutable patience;
    /// The first that is not settled.
    uint256 public nextPeriod;
    uint256 public count;
    mapping(uint256 member => address) public ownerOf;
    mapping(address owner => uint256) private placeOf; // member + 1
    mapping(uint256 member => Account) public accounts;
    /// The period in which a member announced last.
    mapping(uint256 member => uint256) public announcedIn;
    bool private transient entered;

    modifier once() {
        if (entered) revert Reentered();
        entered = true;
        _;
        entered = false;
    }

    modifier onlyOperator() {
        if (msg.sender != operator) revert NotOperator();
        _;
    }

    constructor(address token_, Clock memory clock, address[] memory members) {
        if (token_ != address(0) && token_.code.length == 0) revert NoToken(token_);
        if (!canWork(clock)) revert BadClock(clock.begin, clock.length, clock.patience);
        operator = msg.sender;
        token = token_;
        (first, begin, length, patience) = (clock.first, clock.begin, clock.length, clock.patience);
        nextPeriod = clock.first;
        for (uint256 i = 0; i < members.length; i++) {
            add(members[i]);
        }
    }

    /// A new member behind all others; nobody is ever removed.
    function enroll(address owner) external onlyOperator {
        add(owner);
    }

    /// Pay in for a member, from whoever calls.
    function deposit(uint256 member, uint256 amount) external payable once {
        if (member >= count) revert NotMember(msg.sender);
        uint256 sent = token == address(0) ? amount : 0;
        if (msg.value != sent) revert WrongValue(sent, msg.value);
        if (token != address(0)) pull(amount);
        accounts[member].balance = narrow(accounts[member].balance + amount);
        emit Deposited(member, amount);
    }

    /// Say that so much is to be withdrawn, in place of what was said before. It answers for all that the member owes in
    /// the period that is running, and in those before; from now on markets let the member spend only the rest.
    function announce(uint256 amount) external {
        uint256 member = memberOf(msg.sender);
        Account storage account = accounts[member];
        if (amount > account.balance) revert TooMuch(account.balance, amount);
        account.leaving = uint128(amount);
        announcedIn[member] = running();
        emit Announced(member, amount);
    }

    /// Take out what was announced, or what is left of it: once the period in which it was announced is settled, and by
    /// that all before it, or the operator's patience for it has passed.
    function withdraw() external once {
        uint256 member = memberOf(msg.sender);
        uint256 period = announcedIn[member];
        if (nextPeriod <= period && block.timestamp < endOf(period) + patience) {
            revert TooEarly(period, endOf(period) + patience);
        }
        Account storage account = accounts[member];
        uint128 amount = account.leaving;
        account.balance -= amount;
        account.leaving = 0;
        emit Withdrawn(member, amount);
        if (amount > 0) push(msg.sender, amount);
    }

    /// Settle a period that is over: what each member gets or owes (below zero), in units of the token. `mayMiss` is how
    /// much of it may be without cover: with 0 a mistake moves nothing, with the largest number nobody stops anything.
    function settle(uint256 period, bytes32 source, int256[] calldata positions, uint256 mayMiss) external onlyOperator once {
        if (period != nextPeriod) revert WrongPeriod(nextPeriod, period);
        if (block.timestamp < endOf(period)) revert NotOver(period, endOf(period));
        if (positions.length != count) revert WrongCount(count, positions.length);
        (uint256 owed, uint256 missing) = collect(period, positions);
        if (missing > mayMiss) revert NotCovered(missing, mayMiss);
        distribute(period, positions, owed, owed - missing);
        nextPeriod = period + 1;
        emit PeriodSettled(period, source, positions);
    }

    /// What markets may let a member spend, less what it owes in periods that are not settled.
    function spendable(uint256 member) external view returns (uint256) {
        return accounts[member].balance - accounts[member].leaving;
    }

    /// The period that is running; before the first, that.
    function running() public view returns (uint256) {
        return block.timestamp < begin ? first : first + (block.timestamp - begin) / length;
    }

    /// When a period ends, Unix seconds; the next one begins then.
    function endOf(uint256 period) public view returns (uint256) {
        return begin + (period + 1 - first) * length;
    }

    /// Take what is owed, from each as far as there is cover.
    function collect(uint256 period, int256[] calldata positions) private returns (uint256 owed, uint256 missing) {
        int256 sum;
        for (uint256 i = 0; i < positions.length; i++) {
            int256 position = positions[i];
            uint256 size = sizeOf(position);
            sum += position;
            if (position >= 0) continue;
            owed += size;
            Account memory account = accounts[i];
            if (size > account.balance) {
                emit Uncovered(period, i, size - account.balance);
                missing += size - account.balance;
                size = account.balance;
            }
            account.balance -= uint128(size);
            if (account.leaving > account.balance) account.leaving = account.balance;
            accounts[i] = account;
        }
        if (sum != 0) revert NotBalanced(sum);
        narrow(owed);
    }

    /// Give what was collected to those who receive, pro rata: each gets the difference of two running totals, both
    /// rounded down, so that the whole is given, nobody gets more than asked, and nobody is a whole unit off.
    function distribute(uint256 period, int256[] calldata positions, uint256 owed, uint256 collected) private {
        uint256 asked;
        uint256 given;
        for (uint256 i = 0; i < positions.length; i++) {
            if (positions[i] <= 0) continue;
            uint256 size = uint256(positions[i]);
            asked += size;
            uint256 gets = asked * collected / owed - given;
            given += gets;
            if (gets < size) emit Borne(period, i, size - gets);
            accounts[i].balance = narrow(accounts[i].balance + gets);
        }
    }

    /// Whether the first period can still be settled in time, patience is long enough, and nothing is too far off.
    function canWork(Clock memory clock) private view returns (bool) {
        bool isNear = clock.begin <= block.timestamp + LONGEST && clock.patience <= LONGEST;
        bool isOverdue = uint256(clock.begin) + clock.length + clock.patience <= block.timestamp;
        return isNear && !isOverdue && clock.length > 0 && clock.patience >= clock.length + MARGIN;
    }

    function add(address owner) private {
        if (owner == address(0) || placeOf[owner] != 0) revert BadMember(owner);
        ownerOf[count] = owner;
        emit Enrolled(count, owner);
        placeOf[owner] = ++count;
    }

    function memberOf(address owner) private view returns (uint256) {
        if (placeOf[owner] == 0) revert NotMember(owner);
        return placeOf[owner] - 1;
    }

    function narrow(uint256 amount) private pure returns (uint128) {
        if (amount > MOST) revert TooMuch(MOST, amount);
        return uint128(amount);
    }

    function sizeOf(int256 position) private pure returns (uint256 size) {
        unchecked {
            size = uint256(position < 0 ? -position : position);
        }
        narrow(size);
    }

    function pull(uint256 amount) private {
        uint256 before = Token(token).balanceOf(address(this));
        callToken(abi.encodeCall(Token.transferFrom, (msg.sender, address(this), amount)));
        uint256 now_ = Token(token).balanceOf(address(this));
        if (now_ < before || now_ - before != amount) revert TokenTakesFees(amount, now_ < before ? 0 : now_ - before);
        narrow(now_); // so that no account can be filled until a period's credit does not fit
    }

    function push(address to, uint256 amount) private {
        if (token == address(0)) {
            (bool sent,) = to.call{value: amount}("");
            if (!sent) revert EtherRefused(to);
        } else {
            callToken(abi.encodeCall(Token.transfer, (to, amount)));
        }
    }

    /// Tokens answer true, or nothing; anything else is no.
    function callToken(bytes memory call) private {
        (bool done, bytes memory answer) = token.call(call);
        if (!done || (answer.length > 0 && (answer.length < 32 || uint256(bytes32(answer)) != 1))) revert TokenRefused(token);
    }
}
