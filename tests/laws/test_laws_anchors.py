"""Laws about anchors: whatever a stranger's file, a contract's maker or a node says, nothing is done for them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
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
    served_node,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from market.contract.accounts import MOST_MEMORY, MOST_STEPS, MOST_WORK, Account, _parse_keystore
from market.contract.anchoring import Anchorer
from market.contract.anchors import LARGEST, PAGE, list_anchors, read_tree
from market.contract.artifacts import read_artifact
from market.contract.chain import Chain, Contract
from market.contract.extra import import_extra
from market.contract.outbox import FILE
from market.contract.rpc import Rpc
from market.contract.transactions import Draft, Fees, Sent, show_sent, sign
from market.errors import ChainError, MarketError

Entry = dict[str, Any]


class Waits(NamedTuple):
    """A ledger whose anchor waits at a node."""

    directory: Path
    node: FakeNode
    anchorer: Anchorer
    name: str
    entry: Entry


@pytest.fixture(scope="module")
def waits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waits]:
    directory, node = make_ledger(tmp_path_factory.mktemp("anchors") / "run"), FakeNode()
    with served_node(node) as url:
        address = deployed(url, Clock(node), read_tree(directory).chain_id)
        leave_waiting(directory, url, node, address)
        content = json.loads((directory / FILE).read_text())
        with anchorer_at(url, address, Clock(), patience_s=3) as anchorer:
            yield Waits(directory, node, anchorer, f"{CHAIN_ID}:{address}", content[f"{CHAIN_ID}:{address}"])


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


@settings(max_examples=40)
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


PAGES = st.lists(
    st.lists(st.integers(0, (1 << 64) - 1), max_size=8).map(sorted) | st.lists(st.integers(0, 60), max_size=8),
    max_size=6,
)


class _Chain(Chain):
    def __init__(self) -> None:
        super().__init__(Rpc("http://127.0.0.1:1"), CHAIN_ID)


@given(PAGES, st.integers(0, (1 << 256) - 1) | st.integers(0, 40), st.integers(1, 60))
@example([[0] * 8], 1 << 60, 24)
@example([[1 << 63]], 1, 24)
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
        try:
            found = list_anchors(contract, 1, most)
        except ChainError:
            return
    sizes = [anchor.size for anchor in found]
    assert sizes == sorted(set(sizes))
    assert all(0 < size <= LARGEST for size in sizes)
    assert len(found) == count or sizes[-1] > most
    assert sum(size <= most for size in sizes) >= len(sizes) - PAGE


NUMBERS = st.one_of(
    st.integers(-2, 1 << 24), st.sampled_from([1 << k for k in range(26)]), st.sampled_from([math.inf, 2.0, "8", True])
)


SPELLED = ["n", "N", "r", "R", "p", "P", "c", "C", "dklen", "DkLen"]


@given(
    st.lists(st.tuples(st.sampled_from(SPELLED), NUMBERS), max_size=7),
    st.sampled_from(["kdfparams", "KdfParams"]),
)
@example([("n", 2), ("N", 1 << 22), ("r", 8), ("p", 1)], "kdfparams")
@example([("n", 1 << 20), ("r", 32), ("p", 32)], "kdfparams")
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
