"""Laws about anchors: whatever a stranger's file, a contract's maker or a node says, nothing is done for them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from chain_world import (
    CHAIN_ID,
    KEY,
    OTHER_KEY,
    Clock,
    FakeNode,
    anchorer_at,
    deployed,
    leave_waiting,
    make_ledger,
    seed,
    seeded,
    served_node,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from log_world import forked

from market.contract import anchors
from market.contract.accounts import MOST_MEMORY, MOST_STEPS, MOST_WORK, Account, _parse_keystore
from market.contract.anchoring import Anchorer
from market.contract.anchors import Anchor, Tree, check_anchors, find_roots, list_anchors, read_tree
from market.contract.artifacts import read_artifact
from market.contract.chain import LARGEST, Chain, Contract, open_chain
from market.contract.extra import import_extra
from market.contract.outbox import FILE, Outbox
from market.contract.proving import find_unproven
from market.contract.rpc import Rpc
from market.contract.transactions import Draft, Fees, Sent, show_sent, sign
from market.errors import ChainError, MarketError
from market.ledger.check.receipt import Receipt, prove
from market.ledger.store.store import Store

Entry = dict[str, Any]


class Waits(NamedTuple):
    """A ledger whose anchor waits at a node."""

    directory: Path
    node: FakeNode
    anchorer: Anchorer
    name: str
    entry: Entry
    url: str


@pytest.fixture(scope="module")
def waits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waits]:
    directory, node = make_ledger(tmp_path_factory.mktemp("anchors") / "run"), FakeNode()
    with served_node(node) as url:
        address = deployed(url, Clock(node), read_tree(directory).chain_id)
        leave_waiting(directory, url, node, address)
        content = json.loads((directory / FILE).read_text())
        with anchorer_at(url, address, Clock(), patience_s=3) as anchorer:
            yield Waits(directory, node, anchorer, f"{CHAIN_ID}:{address}", content[f"{CHAIN_ID}:{address}"], url)


ODD = st.sampled_from([math.inf, -math.inf, math.nan, 10**400, -1, 0, 1, 1.5, True, None, "", "0x", "zz", [], {}])
HEX = st.binary(max_size=200).map(bytes.hex)
SOME = st.one_of(ODD, HEX, st.integers(-10, 1 << 70), st.floats(), st.text(max_size=5))
FIELDS = ["size", "root", "to", "data", "gas", "nonce", "versions"]
PARTS = ["hash", "raw", "price", "tip"]


@st.composite
def changes(draw: st.DrawFn) -> Any:
    """A change of one field of what waits, of a version, or of an anchor that is said to be confirmed."""
    place = draw(st.sampled_from(["waiting", "version", "confirmed"]))
    name = draw(st.sampled_from({"waiting": FIELDS, "version": PARTS}.get(place, ["size", "root", "block"])))
    return place, name, draw(SOME)


def changed(entry: Entry, place: str, name: str, value: Any) -> Entry:
    made: Entry = json.loads(json.dumps(entry))
    confirmed = {"size": 5, "root": "00" * 32, "transaction": "00" * 32, "block": 1}
    if place == "confirmed":
        return {**made, "confirmed": [{**confirmed, name: value}]}
    target = made["waiting"] if place == "waiting" else made["waiting"]["versions"][0]
    target[name] = value
    return made


def expect_nothing_done(waits: Waits, entry: Entry) -> None:
    """A round with this entry signs nothing, and sends at most what we signed before."""
    genuine = waits.entry["waiting"]["versions"][0]["hash"]
    (waits.directory / FILE).write_text(json.dumps({"format": "gridsettle anchors v1", waits.name: entry}))
    n = len(waits.node.sent)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Account, "sign", lambda *_: pytest.fail("signed"))
        with pytest.raises(MarketError) as found:
            waits.anchorer.run_round(waits.directory)
    assert {each["hash"] for each in waits.node.sent[n:]} <= {f"0x{genuine}"}
    assert len(str(found.value)) < 1_000


@settings(max_examples=60)
@given(changes())
@example(("waiting", "size", math.inf))
@example(("waiting", "gas", math.inf))
def test_no_field_of_the_file_makes_us_sign_or_send(waits: Waits, change: Any) -> None:
    expect_nothing_done(waits, changed(waits.entry, *change))


@settings(max_examples=20)
@given(
    st.sampled_from([KEY, OTHER_KEY]),
    st.sampled_from([1, CHAIN_ID]),
    st.sampled_from([None, "0x" + "12" * 20, "the contract"]),
    st.one_of(st.just(b""), st.binary(min_size=1, max_size=70)),
    st.integers(21_000, 12_000_000),
    st.integers(0, 10),
    st.sampled_from([Fees(10**9, 10**8), Fees(499 * 10**9, 10**8), Fees(10**9, None)]),
)
def test_a_transaction_that_fits_itself_but_not_this_ledger_is_not_sent(
    waits: Waits, key: bytes, chain_id: int, to: str | None, tail: bytes, gas: int, nonce: int, fees: Fees
) -> None:
    """Even by our own key, which may sign for others too: it must be the call of this ledger to this contract."""
    shown = waits.entry["waiting"]
    receiver = shown["to"] if to == "the contract" else to
    data = bytes.fromhex(shown["data"]) + tail
    if (key, chain_id, to, tail) == (KEY, CHAIN_ID, "the contract", b""):
        key = OTHER_KEY
    draft = Draft(receiver, data, gas, nonce)
    made = show_sent(Sent(draft, (sign(Account(key), chain_id, draft, fees),)))
    expect_nothing_done(waits, {"confirmed": [], "waiting": {**shown, **made}})


PAGE = 8
PAGES = st.lists(
    st.lists(st.integers(0, (1 << 64) - 1), max_size=PAGE).map(sorted) | st.lists(st.integers(0, 60), max_size=PAGE),
    max_size=6,
)


class _Chain(Chain):
    def __init__(self) -> None:
        super().__init__(Rpc("http://127.0.0.1:1"), CHAIN_ID)


@given(PAGES, st.integers(0, (1 << 256) - 1) | st.integers(0, 40), st.integers(1, 60))
@example([[0] * 8], 1 << 60, 24)
@example([[1 << 63]], 1, 24)
@example([list(range(1, 9)), list(range(9, 17))], 16, 2)
def test_a_list_of_anchors_ends_and_grows(pages: list[list[int]], count: int, most: int) -> None:
    """Whatever is listed: what is found grows, and goes at most a page beyond the ledger."""
    contract, asked = Contract(_Chain(), read_artifact("Anchor"), "0x" + "12" * 20), list(pages)

    def read(_: Contract, name: str, *arguments: Any, at: Any = None) -> Any:
        if name == "count":
            return (count,)
        page = asked.pop(0) if asked else []
        return page, [bytes(32)] * len(page)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Contract, "read", read)
        patched.setattr(anchors, "PAGE", PAGE)
        try:
            found = list_anchors(contract, 1, most)
        except ChainError:
            return
    sizes = [anchor.size for anchor in found]
    assert sizes == sorted(set(sizes))
    assert all(0 < size <= LARGEST for size in sizes)
    assert len(found) == count or sizes[-1] > most
    assert sum(size > most for size in sizes) <= PAGE


NUMBERS = st.one_of(
    st.integers(-2, 1 << 24), st.sampled_from([1 << k for k in range(26)]), st.sampled_from([math.inf, 2.0, "8", True])
)


class Fork(NamedTuple):
    """A ledger that nobody is to take for another, its tree, and a receipt of all of it."""

    directory: Path
    tree: Tree
    receipt: Receipt


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Fork:
    folder = tmp_path_factory.mktemp("fork")
    forked(folder / "one", folder / "other", 12)
    with Store.open_to_read(folder / "other") as store:
        return Fork(folder / "other", read_tree(folder / "other"), prove(store, 5, 2))


@settings(max_examples=8)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=5, unique_by=lambda each: each[0]),
    st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=3, unique_by=lambda each: each[0]),
    st.booleans(),
)
@example([], [(32, True)], False)
@example([(32, True)], [], False)
@example([(12, True)], [(32, True)], True)
@example([], [(20, True)], True)
def test_no_receipt_is_proven_by_what_the_maker_of_a_contract_wrote(
    fork: Fork, listed: list[tuple[int, bool]], hidden: list[tuple[int, bool]], anchored_then: bool
) -> None:
    """Roots of the fork or of nothing, listed or not; then, where the contract lets them, they anchor it openly."""

    def roots(drawn: list[tuple[int, bool]]) -> list[Anchor]:
        sizes = [size for size, _ in sorted(drawn)]
        true = find_roots(fork.tree.hashes, [min(size, len(fork.tree.hashes)) for size in sizes])
        return [
            Anchor(size, root if is_true else bytes([7] * 32))
            for (size, is_true), root in zip(sorted(drawn), true, strict=True)
        ]

    node, shown = FakeNode(), roots(listed)
    with served_node(node) as url:
        apart = [each for each in roots(hidden) if each.size not in dict(shown)]
        address = seeded(url, Clock(node), seed(fork.tree.chain_id, shown, apart))
        if anchored_then:
            with suppress(ChainError), anchorer_at(url, address, Clock(node)) as anchorer:
                anchorer.run_round(fork.directory)
        (fork.directory / FILE).unlink(missing_ok=True)
        with open_chain(url) as chain:
            why = find_unproven(chain, address, fork.receipt, fork.tree.newest.size, 1)
    assert (why == "") == (anchored_then and not shown)


LIES = st.one_of(
    ODD,
    st.integers(0, 1 << 256).map(hex),
    st.sampled_from(["0x0", "0x1", hex((1 << 256) - 1), "0x" + "00" * 64, "0x" + "ff" * 64]),
    st.binary(max_size=130).map(lambda content: f"0x{content.hex()}"),
    st.lists(st.dictionaries(st.sampled_from(["transactionHash", "topics"]), ODD), max_size=3),
)
METHODS = [name for name in vars(FakeNode) if name.startswith("eth_")]
BLOCK = ["number", "hash", "baseFeePerGas"]
RECEIPT = ["blockNumber", "blockHash", "status", "gasUsed", "transactionHash", "contractAddress"]
KEYS = [*BLOCK, *RECEIPT, "to", "input"]


@contextmanager
def made_anew(waits: Waits) -> Iterator[FakeNode]:
    """The node with the contract and nothing that waits for it; what happens then is undone."""
    node, blocks, pool = waits.node, waits.node.blocks, waits.node.pool
    salts, outbox = node.salts, (waits.directory / FILE).read_text()
    node.blocks, node.salts, node.pool = list(blocks), list(salts), []
    (waits.directory / FILE).unlink()
    try:
        yield node
    finally:
        node.blocks, node.salts, node.pool = blocks, salts, pool
        (waits.directory / FILE).write_text(outbox)


def expect_readable(directory: Path) -> None:
    """What is written is read again: no node brings it about that a ledger cannot be anchored by others."""
    written = json.loads((directory / FILE).read_text()) if (directory / FILE).exists() else {}
    for name in written.keys() - {"format"}:
        number, _, contract = name.partition(":")
        with Outbox(directory, int(number), contract):
            pass


@settings(max_examples=30)
@given(st.sampled_from(METHODS), st.sampled_from([None, *KEYS]), LIES, st.integers(0, 5))
@example("eth_estimateGas", None, "0x0", 0)
@example("eth_getTransactionCount", None, hex(1 << 200), 0)
@example("eth_getBlockByNumber", "number", hex(1 << 200), 0)
def test_whatever_a_node_answers_there_is_a_message(
    waits: Waits, fork: Fork, method: str, key: str | None, lie: Any, after: int
) -> None:
    """One method lies, in all of its answer or in one field of it, from the `after`-th time on."""
    asked, real = [0], getattr(FakeNode, method)

    def answer(self: FakeNode, *parameters: Any) -> Any:
        asked[0] += 1
        found = real(self, *parameters)
        if asked[0] <= after:
            return found
        return {**found, key: lie} if key is not None and isinstance(found, dict) else lie

    url, address = waits.url, waits.name.partition(":")[2]
    with made_anew(waits) as node, pytest.MonkeyPatch.context() as patched:
        patched.setattr(FakeNode, method, answer)
        with suppress(MarketError), anchorer_at(url, address, Clock(node), patience_s=3) as anchorer:
            anchorer.run_round(waits.directory)
        expect_readable(waits.directory)
        with suppress(MarketError), open_chain(url) as chain:
            check_anchors(chain, address, waits.directory, 1, 5.0)
        with suppress(MarketError), open_chain(url) as chain:
            find_unproven(chain, address, fork.receipt, 21, 1, 5.0)


SPELLED = ["n", "N", "r", "R", "p", "P", "c", "C", "dklen", "DkLen"]


@given(
    st.lists(st.tuples(st.sampled_from(SPELLED), NUMBERS), max_size=7),
    st.sampled_from(["kdfparams", "KdfParams"]),
)
@example([("n", 2), ("N", 1 << 22), ("r", 8), ("p", 1)], "kdfparams")
@example([("n", 1 << 20), ("r", 32), ("p", 32)], "kdfparams")
@example([("n", 1 << 14), ("r", 32), ("p", 32)], "kdfparams")
@example([("n", math.inf), ("r", 8), ("p", 1)], "kdfparams")
def test_no_keystore_that_is_read_costs_more_than_it_may(pairs: list[tuple[str, Any]], name: str) -> None:
    """As the library that decrypts it reads it: it takes names in any spelling, and of several the last."""
    inner = ", ".join(f"{json.dumps(each)}: {json.dumps(value)}" for each, value in pairs)
    text = f'{{"version": 3, "Crypto": {{"kdf": "scrypt", "{name}": {{{inner}}}}}}}'
    try:
        found = _parse_keystore(Path("key"), text)
    except ChainError:
        return
    normalize = import_extra("eth_keyfile.keyfile").normalize_keys
    for read in (found, json.loads(text)):
        numbers = normalize(read)["crypto"]["kdfparams"]
        assert all(type(value) is int and 0 < value <= MOST_WORK[key] for key, value in numbers.items())
        n, r, p = (numbers.get(key, 1) for key in "nrp")
        assert 128 * n * r <= MOST_MEMORY
        assert n * r * p <= MOST_STEPS
