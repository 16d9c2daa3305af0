"""The largest share of an island that is clean: less is not always better where phases differ."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cosim.islands.island import _Trial


def _trial(monkeypatch: pytest.MonkeyPatch, connections: object, low: float, high: float) -> tuple[_Trial, list[float]]:
    """A trial in which the shares from `low` to `high` are clean."""
    asked: list[float] = []

    def at(self: _Trial, share: float) -> Any:
        asked.append(share)
        return SimpleNamespace(share=share, clean=low <= share <= high)

    monkeypatch.setattr(_Trial, "at", at)
    part: Any = SimpleNamespace(case=SimpleNamespace(feeder=SimpleNamespace(connections=connections)))
    return _Trial(part, SimpleNamespace(), SimpleNamespace()), asked  # type: ignore[arg-type]


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.3), (0.4, 0.6), (0.0, 0.99)])
def test_with_phases_the_largest_clean_share_is_found_though_0_is_not_clean(
    monkeypatch: pytest.MonkeyPatch, low: float, high: float
) -> None:
    trial, _ = _trial(monkeypatch, object(), low, high)
    found: Any = trial.largest_clean()
    assert found.clean
    assert high - 2e-3 < found.share <= high


def test_in_the_balanced_model_0_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    trial, asked = _trial(monkeypatch, None, 0.4, 0.6)
    assert trial.largest_clean() is None
    assert asked == [0.0]
