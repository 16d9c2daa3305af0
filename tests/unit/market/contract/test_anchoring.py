"""Rounds of anchoring: no gap, nothing twice, whatever dies between two steps; a ledger that parted shows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from chain_world import (
    KEY,
    MADE,
    OTHER_KEY,
    Clock,
    FakeNode,
    FaultError,
    anchorer_at,
    deployed,
    make_ledger,
    sender_at,
    served_node,
)
from ledger_world import written
from log_world import forked, grow

from market.contract.anchoring import Anchorer
from market.contract.anchors import Anchor, ContradictedError, check_anchors, list_anchors, open_anchor, read_tree
from market.contract.chain import Contract, open_chain
from market.contract.outbox import FILE, Outbox
from market.contract.rpc import NodeError
from market.contract.sender import SlowError
from market.errors import ChainError, LedgerError
from market.ledger.store.store import Store


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A ledger of 21 blocks."""
    return make_ledger(tmp_path / "run")


def on_chain(url: str, address: str) -> list[Anchor]:
    with open_chain(url) as chain:
        return list_anchors(open_anchor(chain, address), chain.block().number)


def sizes(url: str, address: str) -> list[int]:
    return [anchor.size for anchor in on_chain(url, address)]


def confirmed(directory: Path, address: str) -> list[int]:
    return [each["size"] for each in json.loads((directory / FILE).read_text())[f"31337:{address}"]["confirmed"]]


def test_a_ledger_is_anchored_as_it_grows_and_once(directory: Path, url: str, node: FakeNode) -> None:
    address = deployed(url, Clock(node))
    head = read_tree(directory).newest
    with anchorer_at(url, address, Clock(node)) as anchorer:
        found = anchorer.run_round(directory)
        assert (found.new, found.last) == ((head,), head)
        assert anchorer.run_round(directory).new == ()
        for first in range(20, 60, 13):
            grow(directory, MADE, first, min(first + 13, 60))
            assert anchorer.run_round(directory).last == read_tree(directory).newest
        assert anchorer.run_round(directory).new == ()
    assert on_chain(url, address)[-1] == read_tree(directory).newest
    assert sizes(url, address) == confirmed(directory, address) == [21, 34, 47, 60, 61]
    assert len(node.sent) == 1 + 1 + 5  # made, named, and five anchors
    assert read_tree(written(directory.parent / "same", MADE)).newest == read_tree(directory).newest


def test_a_contract_that_has_its_name_needs_none(directory: Path, url: str, node: FakeNode) -> None:
    address = deployed(url, Clock(node), read_tree(directory).chain_id)
    with anchorer_at(url, address, Clock(node)) as anchorer:
        anchorer.run_round(directory)
    assert len(node.sent) == 2


def test_a_contract_of_another_ledger_is_refused(directory: Path, url: str, node: FakeNode) -> None:
    address = deployed(url, Clock(node), b"\7" * 32)
    with anchorer_at(url, address, Clock(node)) as anchorer, pytest.raises(ContradictedError, match="got that of 0707"):
        anchorer.run_round(directory)
    assert len(node.sent) == 1


def test_only_the_key_that_made_a_contract_can_anchor_there(directory: Path, url: str, node: FakeNode) -> None:
    address = deployed(url, Clock(node), key=OTHER_KEY)
    with (
        pytest.raises(ChainError, match="the account of the key, got one of 0x70997970"),
        anchorer_at(url, address, Clock(node)),
    ):
        pass


def test_no_other_code_is_taken_for_the_contract(url: str, node: FakeNode) -> None:
    with sender_at(url, Clock(node)) as sender:
        with pytest.raises(ChainError, match="found none; deploy one with"):
            Anchorer(sender, "0x" + "12" * 20)
        stop = sender.settle(sender.prepare(None, bytes.fromhex("6001600c60003960016000f3fe"), None, "it")).created
        assert stop is not None
        with pytest.raises(ChainError, match="found other code"):
            Anchorer(sender, stop)


class Killed(BaseException):
    """The process ends here."""


STEPS = (
    "eth_estimateGas",
    "eth_getTransactionCount",
    "eth_sendRawTransaction",
    "after eth_sendRawTransaction",
    "eth_getTransactionReceipt",
    "sleep",
    "confirm",
)


@pytest.mark.parametrize("nth", [0, 1])
@pytest.mark.parametrize("step", STEPS)
def test_a_round_that_is_killed_anywhere_is_taken_up(
    step: str, nth: int, directory: Path, url: str, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the first (naming) or second transaction (the anchor): there is no gap after it, and nothing twice."""
    address = deployed(url, Clock(node))
    calls: list[str] = []

    def die(what: str) -> None:
        calls.append(what)
        if calls.count(what) == nth + 1:
            raise Killed

    with (
        monkeypatch.context() as patched,
        anchorer_at(url, address, Clock(node, lambda _: die("sleep")), confirmations=2) as one,
    ):
        asked = one._sender.chain.rpc.ask

        def ask(method: str, *parameters: object) -> object:
            if method == step:
                die(step)
            answer = asked(method, *parameters)
            if step == f"after {method}":
                die(step)
            return answer

        patched.setattr(one._sender.chain.rpc, "ask", ask)
        if step == "confirm":
            kept = Outbox.confirm

            def confirm(self: Outbox, transaction: bytes, block: int) -> None:
                die("confirm")
                kept(self, transaction, block)

            patched.setattr(Outbox, "confirm", confirm)
        elif step != "sleep":
            one._sender.pace = Clock(node).pace(confirmations=2)
        with pytest.raises(Killed):
            one.run_round(directory)
    with anchorer_at(url, address, Clock(node), confirmations=2) as anchorer:
        anchorer.run_round(directory)
        grow(directory, MADE, 20, 60)
        anchorer.run_round(directory)
    assert sizes(url, address) == confirmed(directory, address) == [21, 61]
    assert all(result["status"] == "0x1" for result in node._run(len(node.blocks) - 1)[1].values())
    assert sum(map(len, node.blocks)) == 4  # made, named, two anchors: none was sent twice under another number


def test_an_anchor_that_waits_comes_before_the_next(directory: Path, url: str, node: FakeNode) -> None:
    """The node is away while the ledger grows; what was sent then is confirmed first, and is new."""
    address = deployed(url, Clock(node), read_tree(directory).chain_id)
    node.automine = False
    with anchorer_at(url, address, Clock(), patience_s=3) as anchorer, pytest.raises(SlowError):
        anchorer.run_round(directory)
    grow(directory, MADE, 20, 60)
    node.mine()
    node.automine = True
    with anchorer_at(url, address, Clock(node)) as anchorer:
        found = anchorer.run_round(directory)
    assert [anchor.size for anchor in found.new] == sizes(url, address) == [21, 61]


@pytest.mark.parametrize(
    "change",
    [
        {"to": "0x" + "12" * 20},
        {"to": None},
        {"gas": 10**8},
        {"data": "a9059cbb" + "00" * 64},
        {"data": ""},
        {"root": "12" * 32},
        {"size": 20},
        {"size": 0, "root": ""},
        {"size": 22},
    ],
)
def test_what_somebody_put_into_the_outbox_is_not_signed(
    change: dict[str, object], directory: Path, url: str, node: FakeNode
) -> None:
    """Its data would go into the versions with higher fees."""
    address = deployed(url, Clock(node), read_tree(directory).chain_id)
    node.automine = False
    with anchorer_at(url, address, Clock(), patience_s=3) as anchorer:
        with pytest.raises(SlowError):
            anchorer.run_round(directory)
        content = json.loads((directory / FILE).read_text())
        content[f"31337:{address}"]["waiting"] |= change
        (directory / FILE).write_text(json.dumps(content))
        n = len(node.sent)
        with pytest.raises(ChainError, match=r"anchors\.json: expected waiting\.") as found:
            anchorer.run_round(directory)
    assert not isinstance(found.value, ContradictedError)  # a file says nothing about the ledger
    assert len(node.sent) == n


def test_an_anchor_whose_number_another_transaction_took_is_made_anew(
    directory: Path, url: str, node: FakeNode
) -> None:
    address = deployed(url, Clock(node), read_tree(directory).chain_id)
    node.automine = False
    with anchorer_at(url, address, Clock(), patience_s=3) as anchorer, pytest.raises(SlowError):
        anchorer.run_round(directory)
    node.pool, node.automine = [], True
    with sender_at(url, Clock(node)) as sender:
        sender.settle(sender.prepare("0x" + "11" * 20, b"", None, "something else"))
    with anchorer_at(url, address, Clock(node)) as anchorer:
        assert [anchor.size for anchor in anchorer.run_round(directory).new] == [21]
    assert sizes(url, address) == [21]


def test_a_deep_reorganisation_is_made_good_by_the_next_round(directory: Path, url: str, node: FakeNode) -> None:
    """Deeper than the confirmations that were asked for, and the transaction is lost."""
    address = deployed(url, Clock(node), read_tree(directory).chain_id)
    with anchorer_at(url, address, Clock(node)) as anchorer:
        anchorer.run_round(directory)
        node.reorganise(2, lose=True)
        assert sizes(url, address) == []
        assert [anchor.size for anchor in anchorer.run_round(directory).new] == [21]
    assert sizes(url, address) == confirmed(directory, address) == [21]


def test_two_processes_do_not_anchor_at_once(directory: Path, url: str, node: FakeNode) -> None:
    address = deployed(url, Clock(node))
    with (
        Outbox(directory, 31337, address),
        anchorer_at(url, address, Clock(node)) as anchorer,
        pytest.raises(LedgerError, match="expected to be the only writer"),
    ):
        anchorer.run_round(directory)


SOME = (
    '{"format": "gridsettle anchors v1", "NAME": {"confirmed": [{"size": SIZE, "root": "", "transaction": "",'
    ' "block": 1}], "waiting": {"size": 1, "root": "", "to": null, "data": "", "gas": 1, "nonce": 1,'
    ' "versions": VERSIONS}}}'
)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"format": "another"}',
        '{"format": "gridsettle anchors v1", "NAME": []}',
        '{"format": "gridsettle anchors v1", "NAME": {"confirmed": [{"size": 1}]}}',
        '{"format": "gridsettle anchors v1", "NAME": {"waiting": {"size": 1, "root": ""}}}',
        '{"format": "gridsettle anchors v1", "NAME": {"waiting": {"size": 1, "root": "zz"}}}',
        SOME.replace("SIZE", '"1"').replace("VERSIONS", "[]"),
        SOME.replace("SIZE", "1").replace("VERSIONS", "[]"),
        SOME.replace("SIZE", "1").replace("VERSIONS", "[{}]"),
    ],
)
def test_a_damaged_outbox_is_told(content: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(content.replace("NAME", "31337:0x12"))
    with pytest.raises(ChainError, match=r"anchors\.json: expected .* move it away"):
        Outbox(tmp_path, 31337, "0x12")
    assert (tmp_path / FILE).read_text() == content.replace("NAME", "31337:0x12")


def test_an_outbox_that_was_moved_away_is_not_missed(directory: Path, url: str, node: FakeNode) -> None:
    address = deployed(url, Clock(node))
    with anchorer_at(url, address, Clock(node)) as anchorer:
        anchorer.run_round(directory)
        (directory / FILE).unlink()
        assert anchorer.run_round(directory).new == ()
        grow(directory, MADE, 20, 60)
        assert [anchor.size for anchor in anchorer.run_round(directory).new] == [61]
    assert sizes(url, address) == [21, 61]


def check(url: str, address: str, directory: Path, confirmations: int = 1) -> str:
    with open_chain(url) as chain:
        return check_anchors(chain, address, directory, confirmations).contradiction


def test_a_ledger_that_was_rolled_back_shows(directory: Path, url: str, node: FakeNode, tmp_path: Path) -> None:
    """It is told by who verifies, and the operator can anchor it no further; grown again the same it is sound again."""
    address = deployed(url, Clock(node))
    old = shutil.copytree(directory, tmp_path / "old")
    grow(directory, MADE, 20, 60)
    with anchorer_at(url, address, Clock(node)) as anchorer:
        anchorer.run_round(directory)
        assert check(url, address, directory) == ""
        assert check(url, address, old) == "ROLLBACK: 61 blocks were anchored, this ledger has 21"
        with pytest.raises(ContradictedError, match="ROLLBACK: 61 blocks were anchored, this ledger has 21"):
            anchorer.run_round(old)
    grow(old, MADE, 20, 60)
    assert check(url, address, old) == ""


@pytest.mark.parametrize("at", [1, 12, 29])
def test_a_ledger_that_was_forked_shows(at: int, url: str, node: FakeNode, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    forked(one, other, at)
    address = deployed(url, Clock(node))
    with anchorer_at(url, address, Clock(node)) as anchorer:
        anchorer.run_round(one)
        assert check(url, address, one) == ""
        assert check(url, address, other).startswith("FORK: 31 blocks were anchored with root")
        with pytest.raises(ContradictedError, match="FORK"):
            anchorer.run_round(other)
    assert sizes(url, address) == [31]


def test_only_anchors_with_enough_confirmations_are_asked_for(directory: Path, url: str, node: FakeNode) -> None:
    address = deployed(url, Clock(node))
    with anchorer_at(url, address, Clock(node)) as anchorer:
        anchorer.run_round(directory)
    with open_chain(url) as chain:
        assert [len(check_anchors(chain, address, directory, n).anchors) for n in (1, 2, 3)] == [1, 1, 0]
        with pytest.raises(ChainError, match="found none in block 0"):
            check_anchors(chain, address, directory, len(node.blocks))
        with pytest.raises(ChainError, match=f"expected a chain of 50 blocks, got {len(node.blocks)}"):
            check_anchors(chain, address, directory, 50)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"count": (3,), "list": ((), ())}, "expected 3 anchors, got 0"),
        ({"count": (2,), "list": ((5, 5), (b"\1" * 32, b"\1" * 32))}, "in order of size"),
        ({"count": (2,), "list": ((5, 4), (b"\1" * 32, b"\1" * 32))}, "in order of size"),
        ({"count": (2,), "list": ((5, 6), (b"\1" * 32,))}, "expected 2 anchors"),
    ],
)
def test_a_node_that_lists_no_anchors_of_the_contract_is_told(
    answers: dict[str, tuple[object, ...]],
    said: str,
    directory: Path,
    url: str,
    node: FakeNode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = deployed(url, Clock(node))
    real = Contract.read
    monkeypatch.setattr(
        Contract, "read", lambda self, name, *a, at="latest": answers.get(name) or real(self, name, *a, at=at)
    )
    with open_chain(url) as chain, pytest.raises(NodeError, match=said):
        check_anchors(chain, address, directory, 1)


def test_a_ledger_without_the_root_of_its_checkpoint_is_not_anchored(directory: Path) -> None:
    with Store.open_to_write(directory) as store:
        store._database.connection.execute("UPDATE block SET hash = zeroblob(32) WHERE height = 4")
    with pytest.raises(LedgerError, match="expected the root of its checkpoint, got another"):
        read_tree(directory)


def test_a_chain_that_was_begun_anew_is_anchored_from_the_first_block(directory: Path, tmp_path: Path) -> None:
    """A development chain that is started again knows nothing, though the contract gets the same address."""
    for n, blocks in ((1, (20, 40)), (2, (40, 60))):
        node = FakeNode()
        with served_node(node) as url:
            address = deployed(url, Clock(node))
            if n == 2:
                node.faults["eth_estimateGas"] = [FaultError(-32000, "busy")]
            with anchorer_at(url, address, Clock(node)) as anchorer:
                if n == 2:
                    with pytest.raises(ChainError, match="busy"):
                        anchorer.run_round(directory)
                anchorer.run_round(directory)
                grow(directory, MADE, *blocks)
                anchorer.run_round(directory)
            assert sizes(url, address) == ([21, 41] if n == 1 else [41, 61])
    assert KEY.hex() not in (directory / FILE).read_text()
