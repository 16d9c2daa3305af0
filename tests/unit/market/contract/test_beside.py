"""Anchors beside a run: the run never waits, a node that is away stops nothing, and its return leaves no gap."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Event
from time import monotonic, sleep

import pytest
from chain_world import MADE, Clock, FakeNode, anchorer_at, deployed
from ledger_world import append, begin

from market.contract import beside
from market.contract.anchoring import Anchorer
from market.contract.anchors import list_anchors, open_anchor
from market.contract.beside import Beside
from market.contract.chain import open_chain
from market.contract.rpc import NodeError

Opener = Callable[[], AbstractContextManager[Anchorer]]


def write(directory: Path, anchors: Beside, step: int = 10, between: Callable[[int], None] = lambda stop: None) -> None:
    """A run of 60 intervals in groups."""
    with begin(directory, MADE) as ledger:
        for first in range(0, 60, step):
            append(ledger, MADE, first, first + step)
            anchors.notice(ledger.head().height + 1)
            between(first + step)


def sizes(url: str, address: str) -> list[int]:
    with open_chain(url) as chain:
        return [anchor.size for anchor in list_anchors(open_anchor(chain, address), chain.block().number)]


def wait_for(condition: Callable[[], bool]) -> None:
    end = monotonic() + 30
    while not condition():
        assert monotonic() < end
        sleep(0.01)


def test_an_anchor_is_made_whenever_enough_blocks_are_new(tmp_path: Path, url: str, node: FakeNode) -> None:
    address = deployed(url, Clock(node))
    anchors = Beside(tmp_path / "run", lambda: anchorer_at(url, address, Clock(node)), every=20)

    def between(stop: int) -> None:
        if stop in (20, 40):
            wait_for(lambda: anchors.n_anchored >= stop)

    write(tmp_path / "run", anchors, between=between)
    assert anchors.finish() == ""
    assert sizes(url, address) == [21, 41, 61]
    assert anchors.n_anchored == 61


def test_the_run_does_not_wait_and_what_became_due_meanwhile_is_one_anchor(
    tmp_path: Path, url: str, node: FakeNode
) -> None:
    address, free = deployed(url, Clock(node)), Event()

    @contextmanager
    def slow() -> Iterator[Anchorer]:
        assert free.wait(30)
        with anchorer_at(url, address, Clock(node)) as anchorer:
            yield anchorer

    anchors = Beside(tmp_path / "run", slow, every=1)
    write(tmp_path / "run", anchors)  # it ends, though no anchor can be made
    assert anchors.n_anchored == 0
    free.set()
    assert anchors.finish() == ""
    assert sizes(url, address) == [61]


def test_a_node_that_was_away_gets_what_it_missed(
    tmp_path: Path, url: str, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "RETRY_S", 0.01)
    address, away = deployed(url, Clock(node)), Event()
    tried: list[int] = []

    @contextmanager
    def sometimes() -> Iterator[Anchorer]:
        tried.append(1)
        if away.is_set():
            raise NodeError("nobody there")
        with anchorer_at(url, address, Clock(node)) as anchorer:
            yield anchorer

    anchors = Beside(tmp_path / "run", sometimes, every=10)

    def between(stop: int) -> None:
        if stop == 10:
            wait_for(lambda: anchors.n_anchored == 11)
            away.set()
        elif stop == 50:
            wait_for(lambda: len(tried) > 5)
            away.clear()

    write(tmp_path / "run", anchors, between=between)
    assert anchors.finish() == ""
    assert sizes(url, address)[0] == 11
    assert sizes(url, address)[-1] == 61
    assert sizes(url, address) == sorted(set(sizes(url, address)))


def test_a_node_that_stays_away_is_told_once_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(beside, "RETRY_S", 0.01)
    tried: list[int] = []

    @contextmanager
    def gone() -> Iterator[Anchorer]:
        tried.append(1)
        raise NodeError("nobody there")
        yield

    with caplog.at_level(logging.WARNING):
        anchors = Beside(tmp_path / "run", gone, every=10)
        write(tmp_path / "run", anchors)
        wait_for(lambda: len(tried) > 5)
        assert anchors.finish() == "nobody there"
    assert [record.getMessage() for record in caplog.records] == ["anchors: nobody there"]
    assert anchors.n_anchored == 0


def test_a_defect_is_not_lost_in_the_thread(tmp_path: Path) -> None:
    def broken() -> AbstractContextManager[Anchorer]:
        raise ZeroDivisionError("a defect")

    anchors = Beside(tmp_path / "run", broken, every=10)
    write(tmp_path / "run", anchors)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        anchors.finish()


def test_a_finished_run_that_is_resumed_anchors_its_end(tmp_path: Path, url: str, node: FakeNode) -> None:
    """Nothing is noticed then."""
    address = deployed(url, Clock(node))
    opener: Opener = lambda: anchorer_at(url, address, Clock(node))  # noqa: E731
    write(
        tmp_path / "run", Beside(tmp_path / "run", lambda: anchorer_at("http://127.0.0.1:9", address, Clock()), 10**6)
    )
    anchors = Beside(tmp_path / "run", opener, every=10)
    assert anchors.finish() == ""
    assert sizes(url, address) == [61]
    anchors = Beside(tmp_path / "run", opener, every=10)
    assert anchors.finish() == ""
    assert sizes(url, address) == [61]
