// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

interface Token {
    function balanceOf(address owner) external view returns (uint256);
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// Net positions of a day, settled among deposits in ether or in a token. Each day's positions add up to zero and nobody
/// is taken below zero, so all that members can be told they have is here. What they may lose is what they deposited.
contract Escrow {
    event Enrolled(uint256 indexed member, address owner);
    event Deposited(uint256 indexed member, uint256 amount);
    event Announced(uint256 indexed member, uint256 amount);
    event Withdrawn(uint256 indexed member, uint256 amount);
    /// `source` is the digest of what the positions follow from: a block of a ledger, a head of a market.
    event DaySettled(uint256 indexed day, bytes32 indexed source, int256[] positions);

    error NotOperator();
    error NotMember(address sender);
    error BadMember(address owner);
    error NoToken(address token);
    error WrongValue(uint256 expected, uint256 got);
    error WrongDay(uint256 expected, uint256 got);
    error WrongCount(uint256 expected, uint256 got);
    /// Positions of a day that do not add up to zero.
    error NotBalanced(int256 sum);
    error Overdrawn(uint256 member, uint256 balance, int256 position);
    error TooMuch(uint256 balance, uint256 asked);
    error TooEarly(uint256 day, uint256 time);
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

    struct Notice {
        uint64 day; // the first that was not settled when it was given
        uint64 time;
    }

    /// After this time an announced withdrawal needs no settled day: an operator that is gone keeps nobody's deposit.
    uint256 public constant PATIENCE = 7 days;

    address public immutable operator;
    /// Address of the token, 0 for ether.
    address public immutable token;
    uint256 public nextDay;
    uint256 public count;
    mapping(uint256 member => address) public ownerOf;
    mapping(address owner => uint256) private placeOf; // member + 1
    mapping(uint256 member => Account) public accounts;
    mapping(uint256 member => Notice) public notices;
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

    constructor(address token_, uint64 firstDay, address[] memory members) {
        if (token_ != address(0) && token_.code.length == 0) revert NoToken(token_);
        operator = msg.sender;
        token = token_;
        nextDay = firstDay;
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

    /// Say that so much is to be withdrawn, in place of what was said before. Until the running day is settled it still
    /// answers for what the member owes; markets let a member spend only the rest.
    function announce(uint256 amount) external {
        uint256 member = memberOf(msg.sender);
        Account storage account = accounts[member];
        if (amount > account.balance) revert TooMuch(account.balance, amount);
        account.leaving = uint128(amount);
        notices[member] = Notice(uint64(nextDay), uint64(block.timestamp));
        emit Announced(member, amount);
    }

    /// Take out what was announced, or what is left of it.
    function withdraw() external once {
        uint256 member = memberOf(msg.sender);
        Account storage account = accounts[member];
        Notice memory notice = notices[member];
        if (nextDay <= notice.day && block.timestamp < notice.time + PATIENCE) {
            revert TooEarly(notice.day, notice.time + PATIENCE);
        }
        uint128 amount = account.leaving < account.balance ? account.leaving : account.balance;
        account.balance -= amount;
        account.leaving = 0;
        emit Withdrawn(member, amount);
        if (amount > 0) push(msg.sender, amount);
    }

    /// Settle a day: what each member gets or owes (below zero), in units of the token.
    function settle(uint256 day, bytes32 source, int256[] calldata positions) external onlyOperator once {
        if (day != nextDay) revert WrongDay(nextDay, day);
        if (positions.length != count) revert WrongCount(count, positions.length);
        int256 sum;
        for (uint256 i = 0; i < positions.length; i++) {
            int256 position = positions[i];
            if (position == 0) continue;
            sum += position;
            uint128 balance = accounts[i].balance;
            int256 after_ = int256(uint256(balance)) + position;
            if (after_ < 0) revert Overdrawn(i, balance, position);
            accounts[i].balance = narrow(uint256(after_));
        }
        if (sum != 0) revert NotBalanced(sum);
        nextDay = day + 1;
        emit DaySettled(day, source, positions);
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
        if (amount > type(uint128).max) revert TooMuch(type(uint128).max, amount);
        return uint128(amount);
    }

    function pull(uint256 amount) private {
        uint256 before = Token(token).balanceOf(address(this));
        callToken(abi.encodeCall(Token.transferFrom, (msg.sender, address(this), amount)));
        uint256 now_ = Token(token).balanceOf(address(this));
        if (now_ < before || now_ - before != amount) revert TokenTakesFees(amount, now_ < before ? 0 : now_ - before);
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
