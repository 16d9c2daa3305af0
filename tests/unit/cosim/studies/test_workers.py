"""A cluster of Dask: what is said of it while it answers."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from cosim.studies import workers
from cosim.studies.workers import answer_on_cluster


class Finished:
    """A future of Dask that is done."""

    status = "finished"

    def exception(self, timeout: float) -> None:
        """None was raised."""

    def result(self, timeout: float) -> int:
        return 6


def test_a_cluster_without_workers_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its first worker comes at the fourth look; there is one answer then."""
    counts = iter([0, 0, 0, 1, 1, 1, 1])
    answer = Finished()

    @contextmanager
    def connect(_: Any, scheduler: str) -> Any:
        yield SimpleNamespace(submit=lambda *asked, **options: answer)

    looks = [None, None, None]
    monkeypatch.setattr(workers, "_connect", connect)
    monkeypatch.setattr(workers, "POLL_S", -1.0)  # looks at each turn
    monkeypatch.setattr(workers, "_count_threads", lambda client: next(counts))
    monkeypatch.setattr(workers, "_wait", lambda dask, futures: () if looks and not looks.pop() else [answer])
    with caplog.at_level(logging.WARNING):
        (found,) = answer_on_cluster(abs, [-6], "tcp://here:1")
    assert found.get() == 6
    assert [each.message for each in caplog.records] == ["the cluster at tcp://here:1 has no worker: waiting for one"]
