"""Transactions against a node that drops, reorders, refuses and reorganises: carried out once, or told why not."""

from __future__ import annotations

from itertools import pairwise

import pytest
from chain_world import KEY, OTHER_KEY, Clock, FakeNode, FaultError, deployed, sender_at

from market.contract.abi import encode_deployment
from market.contract.accounts import Account
from market.contract.artifacts import read_artifact
from market.contract.chain import Contract, RevertedError
from market.contract.rpc import NodeError
from market.contract.sender import LostError, SlowError
from market.contract.transactions import Draft, Fees, Sent, raise_fees, read_sent, show_sent, sign
from market.errors import ChainError

ANCHOR = read_artifact("Anchor")
CODE = encode_deployment(ANCHOR, [b"\1" * 32])


def count(node: FakeNode) -> int:
    """Transactions that were carried out."""
    return sum(map(len, node.blocks))


def test_a_transaction_is_confirmed_by_as_many_blocks_as_asked_for(node: FakeNode, url: str) -> None:
    clock = Clock(node)
    with sender_at(url, clock, confirmations=4) as sender:
        receipt = sender.settle(sender.prepare(None, CODE, None, "it"))
    assert (receipt.ok, receipt.block, len(node.blocks) - receipt.block) == (True, 1, 4)
    assert (count(node), clock.slept, len(node.sent)) == (1, 3, 1)
    assert node.sent[0]["kind"] == 2
    assert (node.sent[0]["price"], node.sent[0]["gas"]) == (3 * 10**9, 1_125_000)


def test_a_chain_without_eip_1559_gets_another_kind(url: str, node: FakeNode) -> None:
    node.base_fee = None
    with sender_at(url, Clock(node)) as sender:
        sender.settle(sender.prepare(None, CODE, None, "it"))
    assert (node.sent[0]["kind"], node.sent[0]["price"], count(node)) == (0, 3 * 10**9, 1)


def test_what_waits_too_long_is_replaced_by_one_that_pays_more(url: str, node: FakeNode) -> None:
    node.automine = False
    kept: list[Sent] = []

    def then(n: int) -> None:
        if len(kept) == 3:
            node.mine()

    with sender_at(url, Clock(then=then), replace_after_s=5, patience_s=100) as sender:
        receipt = sender.settle(sender.prepare(None, CODE, None, "it"), kept.append)
    prices = [tx["price"] for tx in node.sent]
    assert len({tx["nonce"] for tx in node.sent}) == 1
    assert all(10 * after >= 11 * before for before, after in pairwise(prices))
    assert [len(each.versions) for each in kept] == [1, 2, 3]
    assert (receipt.hash, count(node)) == (kept[-1].newest.hash, 1)


def test_an_older_version_may_be_the_one_that_is_carried_out(url: str, node: FakeNode) -> None:
    node.automine = False
    kept: list[Sent] = []

    def then(n: int) -> None:
        if len(kept) == 2 and node.pool:
            node.pool = [node.sent[0]]
            node.mine()

    with sender_at(url, Clock(then=then), replace_after_s=5, patience_s=100) as sender:
        receipt = sender.settle(sender.prepare(None, CODE, None, "it"), kept.append)
    assert receipt.hash == kept[-1].versions[0].hash
    assert count(node) == 1


def test_fees_above_what_is_allowed_are_never_offered(url: str, node: FakeNode) -> None:
    node.base_fee = 10**15
    with sender_at(url, Clock(node)) as sender:
        with pytest.raises(ChainError, match=r"expected gas for at most 500 gwei, got 2e\+06; .*--max-fee"):
            sender.prepare(None, CODE, None, "it")
        node.base_fee, node.automine = 10**9, False
        sender.max_fee, sender.pace = 4 * 10**9, Clock().pace(replace_after_s=5)
        with pytest.raises(SlowError):
            sender.settle(sender.prepare(None, CODE, None, "it"))
    assert {tx["price"] <= 4 * 10**9 for tx in node.sent} == {True}


@pytest.mark.parametrize("words", ["already known", "ALREADY_EXISTS: already known", "known transaction: 0x12"])
def test_what_the_node_knows_already_is_no_fault(words: str, url: str, node: FakeNode) -> None:
    with sender_at(url, Clock(node)) as sender:
        sent = sender.prepare(None, CODE, None, "it")
        sender.chain.send(sent.newest.raw)
        node.faults["eth_sendRawTransaction"] = [FaultError(-32000, words)]
        node.faults["eth_getTransactionReceipt"] = []
        assert sender.settle(sent).hash == sent.newest.hash
    assert count(node) == 1


def test_fees_that_are_too_low_are_raised_at_once(url: str, node: FakeNode) -> None:
    node.faults["eth_sendRawTransaction"] = [FaultError(-32000, "transaction underpriced")] * 3
    kept: list[Sent] = []
    with sender_at(url, Clock(node)) as sender:
        sender.settle(sender.prepare(None, CODE, None, "it"), kept.append)
        assert [len(each.versions) for each in kept] == [1, 2, 3, 4]
        node.faults["eth_sendRawTransaction"] = [FaultError(-32000, "transaction underpriced")] * 30
        with pytest.raises(ChainError, match="to be enough"):
            sender.settle(sender.prepare(None, CODE, None, "it"))
    assert count(node) == 1


def test_a_number_that_another_transaction_has_is_lost(url: str, node: FakeNode) -> None:
    """Nonce too low: somebody else sends with the same key."""
    with sender_at(url, Clock(node)) as sender:
        sent = sender.prepare(None, CODE, None, "it")
        sender.settle(sender.prepare(None, encode_deployment(ANCHOR, [b"\2" * 32]), None, "another"))
        with pytest.raises(LostError, match="expected number 0 for this transaction, another one has it"):
            sender.settle(sent)
    assert count(node) == 1


def test_a_number_behind_a_gap_is_lost(url: str, node: FakeNode) -> None:
    with sender_at(url, Clock(node)) as sender:
        draft = Draft(None, CODE, 900_000, 7)
        with pytest.raises(LostError, match="expected transactions before number 7"):
            sender.settle(Sent(draft, (sign(sender.account, sender.chain.chain_id, draft, Fees(10**10, 1)),)))


def test_numbers_follow_those_that_wait(url: str, node: FakeNode) -> None:
    node.automine = False
    with sender_at(url, Clock(node)) as sender:
        first = sender.prepare(None, CODE, None, "it")
        sender.chain.send(first.newest.raw)
        second = sender.prepare(None, CODE, None, "it")
        assert (first.draft.nonce, second.draft.nonce) == (0, 1)
        sender.settle(second)
    assert count(node) == 2


def test_what_a_node_forgets_is_handed_in_again(url: str, node: FakeNode) -> None:
    node.deaf = True

    def then(n: int) -> None:
        node.deaf = n < 3

    with sender_at(url, Clock(node, then)) as sender:
        sender.settle(sender.prepare(None, CODE, None, "it"))
    assert (len({tx["hash"] for tx in node.sent}), len(node.sent), count(node)) == (1, 4, 1)


@pytest.mark.parametrize("lose", [False, True])
def test_a_reorganised_block_does_not_count(lose: bool, url: str, node: FakeNode) -> None:
    """Its transaction waits again, or is lost and handed in again; it is confirmed from its new block on."""

    def then(n: int) -> None:
        if n == 2:
            assert count(node) == 1
            node.reorganise(2, lose=lose)
            assert count(node) == 0

    with sender_at(url, Clock(node, then), confirmations=5) as sender:
        receipt = sender.settle(sender.prepare(None, CODE, None, "it"))
    assert count(node) == 1
    assert receipt.block > 2
    assert len(node.blocks) - receipt.block >= 5
    assert len({tx["hash"] for tx in node.sent}) == 1


def test_a_receipt_of_a_block_that_is_no_longer_one_is_none(url: str, node: FakeNode) -> None:
    """A node that still tells the receipt from before, while its block at that height is another."""
    with sender_at(url, Clock(node)) as sender:
        sent = sender.prepare(None, CODE, None, "it")
        sender.settle(sent)
        node.salts[1] += 1
        old, node.eth_getTransactionReceipt = node.eth_getTransactionReceipt, None  # type: ignore[assignment]
        answer = old("0x" + sent.newest.hash.hex())
        assert answer is not None
        node.eth_getTransactionReceipt = lambda digest: {**answer, "blockHash": "0x" + "12" * 32}  # type: ignore[method-assign]
        assert sender.find(sent) == (None, 0)


def test_no_confirmations_come_for_ever(url: str, node: FakeNode) -> None:
    with sender_at(url, Clock(), confirmations=3, patience_s=10) as sender:
        sent = sender.prepare(None, CODE, None, "it")
        with pytest.raises(SlowError, match=r"expected 3 confirmations within 10 s, found 1 of 3 confirmations"):
            sender.settle(sent)
        node.mine(2)
        assert sender.settle(sent).ok
    assert count(node) == 1


def test_an_account_that_cannot_pay_is_told_so(url: str, node: FakeNode) -> None:
    node.coins = 1000
    with (
        sender_at(url, Clock(node)) as sender,
        pytest.raises(ChainError, match=r"expected at least 0\.003375 .*found 0"),
    ):
        sender.prepare(None, CODE, None, "it")
    node.coins = 10**18
    node.faults["eth_sendRawTransaction"] = [FaultError(-32000, "insufficient funds for gas * price + value")]
    with sender_at(url, Clock(node)) as sender, pytest.raises(ChainError, match="expected enough coin for fees"):
        sender.settle(sender.prepare(None, CODE, None, "it"))
    assert count(node) == 0


def test_any_other_refusal_is_told(url: str, node: FakeNode) -> None:
    node.faults["eth_sendRawTransaction"] = [FaultError(-32003, "only on Tuesdays")]
    with sender_at(url, Clock(node)) as sender, pytest.raises(ChainError, match="only on Tuesdays"):
        sender.settle(sender.prepare(None, CODE, None, "it"))


def test_what_a_contract_would_refuse_is_not_sent_and_what_it_refuses_is_told(url: str, node: FakeNode) -> None:
    address = deployed(url, Clock(node), b"\1" * 32)
    with sender_at(url, Clock(node), OTHER_KEY) as sender:
        contract = Contract(sender.chain, ANCHOR, address)
        call = contract.encode("anchor", [5, b"\2" * 32, []])
        with pytest.raises(RevertedError, match=r"refuses anchor: NotOperator\(0x70997970"):
            sender.prepare(address, call, contract, "anchor")
        draft = Draft(address, call, 100_000, 0)
        sent = Sent(draft, (sign(Account(OTHER_KEY), sender.chain.chain_id, draft, Fees(10**10, 10**9)),))
        with pytest.raises(RevertedError, match=r"0x[0-9a-f]{64}: refused: execution reverted, 0x[0-9a-f]{72}"):
            sender.settle(sent)


@pytest.mark.parametrize(
    ("method", "answer", "said"),
    [
        ("eth_estimateGas", 10**9, "expected 21,000 to 12,000,000 gas for it, got 1,000,000,000"),
        ("eth_estimateGas", 0, "expected 21,000 to 12,000,000 gas for it, got 0"),
        ("eth_getTransactionCount", 1 << 64, "expected 0 to 18,446,744,073,709,551,614 transactions of 0xf39F"),
    ],
)
def test_a_node_that_makes_numbers_up_gets_no_transaction(
    method: str, answer: int, said: str, url: str, node: FakeNode
) -> None:
    setattr(node, method, lambda *_: hex(answer))
    with sender_at(url, Clock(node)) as sender, pytest.raises(ChainError, match=said):
        sender.prepare("0x" + "11" * 20, b"", None, "it")
    assert node.sent == []


def test_a_node_that_answers_with_another_hash_or_nothing_is_told(url: str, node: FakeNode) -> None:
    node.eth_sendRawTransaction = lambda raw: None  # type: ignore[assignment, method-assign, return-value]
    with (
        sender_at(url, Clock(node)) as sender,
        pytest.raises(NodeError, match="eth_sendRawTransaction: expected 32 bytes"),
    ):
        sender.settle(sender.prepare(None, CODE, None, "it"))


def test_sent_transactions_come_back_from_their_files() -> None:
    for fees in (Fees(10, 1), Fees(10, None)):
        draft = Draft("0x" + "11" * 20, b"\0\1", 21_000, 3)
        sent = Sent(draft, (sign(Account(KEY), 5, draft, fees), sign(Account(KEY), 5, draft, raise_fees(fees, fees))))
        assert read_sent(show_sent(sent)) == sent
