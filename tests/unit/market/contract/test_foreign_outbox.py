"""A stranger's anchors.json: nothing of it is signed or sent unless this account signed it for this ledger."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chain_world import (
    CHAIN_ID,
    KEY,
    MADE,
    OTHER_KEY,
    Clock,
    FakeNode,
    FaultError,
    anchorer_at,
    deployed,
    key_file,
    leave_waiting,
    make_ledger,
    sender_at,
    served_node,
)
from log_world import grow

from market.contract.accounts import Account, read_account
from market.contract.anchors import ContradictedError, read_tree
from market.contract.outbox import FILE, LONGEST, Outbox
from market.contract.sender import SlowError
from market.contract.transactions import MOST_VERSIONS, Draft, Fees, Sent, find_foreign, show_sent, sign
from market.errors import ChainError, LedgerError

Entry = dict[str, Any]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return make_ledger(tmp_path / "run")


@pytest.fixture
def waiting(directory: Path, url: str, node: FakeNode) -> tuple[str, Entry]:
    """A contract, and the anchor that waits for it."""
    address = deployed(url, Clock(node), read_tree(directory).chain_id)
    return address, leave_waiting(directory, url, node, address)


def resigned(entry: Entry, key: bytes = KEY, chain_id: int = CHAIN_ID, fees: Fees | None = None, **draft: Any) -> Entry:
    """The entry with another draft, signed as it says: all of it fits, but it is not what waits."""
    fields = {"to": entry["to"], "data": bytes.fromhex(entry["data"]), "gas": entry["gas"], "nonce": entry["nonce"]}
    made = Draft(**{**fields, **draft})
    version = sign(Account(key), chain_id, made, fees or Fees(10**9, 10**8))
    return {**entry, **show_sent(Sent(made, (version,)))}


def first(entry: Entry, **fields: Any) -> Entry:
    """The entry with other fields of its first version."""
    return {**entry, "versions": [{**entry["versions"][0], **fields}, *entry["versions"][1:]]}


def foreign_value(entry: Entry) -> Entry:
    """Our own signature of a transaction that gives away coin."""
    fields = {"chainId": CHAIN_ID, "nonce": entry["nonce"], "gas": entry["gas"], "value": 10**17, "type": 2}
    fees = {"maxFeePerGas": entry["versions"][0]["price"], "maxPriorityFeePerGas": entry["versions"][0]["tip"]}
    raw, digest = Account(KEY).sign(
        {**fields, **fees, "to": bytes.fromhex(entry["to"][2:]), "data": bytes.fromhex(entry["data"])}
    )
    return first(entry, raw=raw.hex(), hash=digest.hex())


CHANGES: dict[str, tuple[Callable[[Entry], Entry], str]] = {
    "a proof with a long tail": (
        lambda e: {**e, "data": e["data"] + "ff" * 50_000},
        r"versions\[0\]\.raw to be signed with the data",
    ),
    "much gas": (lambda e: {**e, "gas": 12_000_000}, r"versions\[0\]\.raw to be signed with the gas"),
    "another number": (lambda e: {**e, "nonce": e["nonce"] + 1}, r"versions\[0\]\.raw to be signed with the nonce"),
    "a high price": (lambda e: first(e, price=444 * 10**9), r"versions\[0\]\.raw to be signed with the price"),
    "a high tip": (lambda e: first(e, tip=e["versions"][0]["price"]), r"versions\[0\]\.raw to be signed with the tip"),
    "no tip": (lambda e: first(e, tip=None), r"versions\[0\]\.raw to be a signed transaction"),
    "raw of nothing": (lambda e: first(e, raw="00"), r"versions\[0\]\.raw to be a signed transaction"),
    "another hash": (lambda e: first(e, hash="11" * 32), r"versions\[0\]\.hash to be that of its raw"),
    "coin given away": (foreign_value, r"versions\[0\]\.raw to be signed with the value"),
    "a second version": (
        lambda e: {**e, "versions": [*e["versions"], {**e["versions"][0], "price": 10**12}]},
        r"versions\[1\]\.raw to be signed with the price",
    ),
    "another account": (lambda e: resigned(e, OTHER_KEY), r"versions\[0\]\.raw to be signed by 0xf39F"),
    "another account, no tip": (
        lambda e: resigned(e, OTHER_KEY, fees=Fees(10**9, None)),
        r"versions\[0\]\.raw to be signed by 0xf39F",
    ),
    "another chain": (lambda e: resigned(e, chain_id=1), r"versions\[0\]\.raw to be signed with the chain id"),
    "another chain, no tip": (
        lambda e: resigned(e, chain_id=1, fees=Fees(10**9, None)),
        rf"versions\[0\]\.raw to be signed for chain {CHAIN_ID}",
    ),
    "another receiver": (lambda e: resigned(e, to="0x" + "12" * 20), "to to be 0x"),
    "a contract": (lambda e: resigned(e, to=None), "to to be 0x"),
    "our own tail": (
        lambda e: resigned(e, data=bytes.fromhex(e["data"]) + bytes(32)),
        "data to be what this ledger gives from an anchor before",
    ),
    "our own call of another kind": (
        lambda e: resigned(e, data=bytes.fromhex("a9059cbb" + "00" * 64)),
        "data to anchor the size and root",
    ),
    "a negative size": (lambda e: {**e, "size": -5}, "size to be a whole number from 0 to"),
    "an endless size": (lambda e: {**e, "size": float("inf")}, "size to be a whole number .* got Infinity"),
    "endless gas": (lambda e: {**e, "gas": float("inf")}, "gas to be a whole number .* got Infinity"),
    "no number of gas": (lambda e: {**e, "gas": float("nan")}, "gas to be a whole number .* got NaN"),
    "a huge size": (lambda e: {**e, "size": 10**1000}, "size to be a whole number .* got a number of 3,322 bits"),
    "a number that is true": (lambda e: {**e, "size": True}, "size to be a whole number .* got true"),
    "a negative number": (lambda e: {**e, "nonce": -1}, "nonce to be a whole number"),
    "a short hash": (lambda e: first(e, hash=""), r"versions\[0\]\.hash to be 32 bytes in hexadecimal"),
    "a tip above the price": (lambda e: first(e, tip=10**13), r"versions\[0\]\.tip to be a whole number"),
    "hexadecimal with blanks": (lambda e: {**e, "data": e["data"] + "  "}, "data to be .* bytes in hexadecimal"),
    "many versions": (
        lambda e: {**e, "versions": e["versions"] * (MOST_VERSIONS + 1)},
        rf"versions to be a list of 1 to {MOST_VERSIONS}, got a list of 257",
    ),
    "no version": (lambda e: {**e, "versions": []}, "versions to be a list"),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, str, FakeNode, Entry]]:
    """A ledger, a node, a contract, and the anchor that waits: no test changes it."""
    directory, node = make_ledger(tmp_path_factory.mktemp("kept") / "run"), FakeNode()
    with served_node(node) as url:
        address = deployed(url, Clock(node), read_tree(directory).chain_id)
        yield directory, url, address, node, leave_waiting(directory, url, node, address)


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_stranger_writes_is_neither_signed_nor_sent(
    name: str, kept: tuple[Path, str, str, FakeNode, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, url, address, node, entry = kept
    change, said = CHANGES[name]
    write(directory, address, {"confirmed": [], "waiting": change(entry)})
    before, n = (directory / FILE).read_bytes(), len(node.sent)
    monkeypatch.setattr(Account, "sign", lambda *_: pytest.fail("signed"))
    # the node finds it too cheap, for which a version with higher fees would be signed
    node.faults["eth_sendRawTransaction"] = [FaultError(-32000, "replacement transaction underpriced")] * 9
    with (
        anchorer_at(url, address, Clock(), patience_s=3) as anchorer,
        pytest.raises(ChainError, match=rf"anchors\.json: expected waiting\.{said}.*move it away"),
    ):
        anchorer.run_round(directory)
    assert len(node.sent) == n
    assert (directory / FILE).read_bytes() == before


def write(directory: Path, address: str, entry: Entry) -> None:
    content = {"format": "gridsettle anchors v1", f"{CHAIN_ID}:{address}": entry}
    (directory / FILE).write_text(json.dumps(content))


def test_fees_above_those_that_are_allowed_now_are_not_paid(
    waiting: tuple[str, Entry], directory: Path, url: str, node: FakeNode
) -> None:
    """Signed by us, when more was allowed."""
    address, entry = waiting
    write(directory, address, {"waiting": resigned(entry, fees=Fees(400 * 10**9, 10**9))})
    node.pool.clear()
    n = len(node.sent)
    with anchorer_at(url, address, Clock(), patience_s=3) as anchorer:
        anchorer._sender.max_fee = 100 * 10**9
        with pytest.raises(ChainError, match=r"expected gas for at most 100 gwei, got 400; .*--max-fee"):
            anchorer.run_round(directory)
    assert len(node.sent) == n


def test_what_we_signed_without_a_tip_is_sent(directory: Path) -> None:
    """On a chain without EIP-1559."""
    node = FakeNode(base_fee=None)
    with served_node(node) as old:
        address = deployed(old, Clock(node), read_tree(directory).chain_id)
        leave_waiting(directory, old, node, address)
        node.automine = True
        with anchorer_at(old, address, Clock(node)) as anchorer:
            assert [anchor.size for anchor in anchorer.run_round(directory).new] == [21]


def test_a_proof_may_begin_at_any_anchor_before(
    waiting: tuple[str, Entry], directory: Path, url: str, node: FakeNode, tmp_path: Path
) -> None:
    """Another machine, with a copy of the ledger, anchors less than what waits here, so that the chain refuses that.

    It is our own, no stranger's, and it is made anew.
    """
    address, _ = waiting
    node.mine()
    node.automine = True
    (directory / FILE).unlink()
    grow(directory, MADE, 20, 30)
    copy = shutil.copytree(directory, tmp_path / "copy")
    grow(directory, MADE, 30, 40)
    leave_waiting(directory, url, node, address)
    lost = list(node.pool)
    node.pool.clear()
    node.automine = True
    with anchorer_at(url, address, Clock(node)) as anchorer:
        assert anchorer.run_round(copy).last.size == 31
        assert [anchor.size for anchor in anchorer.run_round(directory).new] == [41]
    assert len(lost) == 1


def test_what_waits_shows_a_rolled_back_ledger(directory: Path, url: str, node: FakeNode, tmp_path: Path) -> None:
    """We signed it, so it is no stranger's: the ledger is another one now."""
    old = shutil.copytree(directory, tmp_path / "old")
    address = deployed(url, Clock(node), read_tree(directory).chain_id)
    grow(directory, MADE, 20, 30)
    leave_waiting(directory, url, node, address)
    shutil.copy(directory / FILE, old)
    n = len(node.sent)
    with (
        anchorer_at(url, address, Clock(), patience_s=3) as anchorer,
        pytest.raises(ContradictedError, match=r"what waits .* is not of this ledger\. ROLLBACK: 31 blocks"),
    ):
        anchorer.run_round(old)
    assert len(node.sent) == n


def test_the_files_size_is_bounded(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(" " * (LONGEST + 1))
    with pytest.raises(ChainError, match=r"anchors\.json: expected .* of at most 16,777,216 bytes.*move it away"):
        Outbox(tmp_path, 1, "0x12")


@pytest.mark.parametrize("name", ["anchors.json", "anchors.lock"])
@pytest.mark.parametrize("leads_to", ["there.txt", "nowhere.txt"])
def test_links_lead_nowhere(name: str, leads_to: str, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "outside" / "there.txt").write_text("")
    (tmp_path / "run" / name).symlink_to(tmp_path / "outside" / leads_to)
    with pytest.raises(LedgerError, match=rf"{name}: expected"):
        Outbox(tmp_path / "run", 1, "0x12")
    assert [each.name for each in (tmp_path / "outside").iterdir()] == ["there.txt"]
    assert (tmp_path / "outside" / "there.txt").read_text() == ""


def test_a_key_file_that_is_a_link_is_judged_by_what_it_leads_to(tmp_path: Path) -> None:
    key_file(tmp_path).chmod(0o644)
    (tmp_path / "link").symlink_to(tmp_path / "account.key")
    with pytest.raises(LedgerError, match="link: expected a key that only its owner can read"):
        read_account(tmp_path / "link", lambda: "")


def test_many_versions_do_not_outlast_the_patience(url: str, node: FakeNode) -> None:
    """Each is a question; a slow node answers each within its time."""
    account = Account(KEY)
    versions = tuple(
        sign(account, CHAIN_ID, Draft("0x" + "12" * 20, b"", 21_000, 7), Fees(price, 1)) for price in range(1, 101)
    )
    clock = Clock()
    with sender_at(url, clock, patience_s=5) as sender:
        asked = sender.chain.rpc.ask

        def ask(method: str, *parameters: object) -> object:
            clock.time += 1.0
            return asked(method, *parameters)

        sender.chain.rpc.ask = ask  # type: ignore[method-assign]
        sent = Sent(Draft("0x" + "12" * 20, b"", 21_000, 7), versions)
        with pytest.raises(SlowError, match="within 5 s, found no block"):
            sender.settle(sent)
    assert clock.time < 40
    assert node.sent == []


def test_a_transaction_gets_no_more_versions_than_are_read(
    url: str, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("market.contract.sender.MOST_VERSIONS", 3)
    node.automine = False
    clock = Clock()
    with sender_at(url, clock, replace_after_s=1.0, patience_s=9) as sender:
        sender.max_fee = 1 << 90
        sent = sender.prepare("0x" + "12" * 20, b"", None, "it")
        versions: list[int] = []
        with pytest.raises(SlowError):
            sender.settle(sent, lambda now: versions.append(len(now.versions)))
    assert versions == [1, 2, 3]


def test_find_foreign_takes_what_we_signed() -> None:
    account = Account(KEY)
    for fees in (Fees(10**9, 10**8), Fees(0, 0), Fees(10**9, None)):
        for draft in (Draft(None, b"\1", 10**6, 0), Draft("0x" + "12" * 20, b"", 21_000, 2**40)):
            sent = Sent(draft, (sign(account, CHAIN_ID, draft, fees),))
            assert find_foreign(sent, CHAIN_ID, account.address) == ""
