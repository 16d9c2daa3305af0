"""Envelopes of two customers against an exhaustive search over all boxes."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_envelopes import draw_setting, search_level, search_total

from grid_models.envelopes.solve import find_envelopes

ALLOWED = 0.02


def _agree(seed: int, *, phases: bool) -> bool:
    """Compare both rules with the search; returns whether the network was in the way of either."""
    drawn = draw_setting(seed, phases=phases, customers=2, most_kw=100.0)
    found = find_envelopes(*drawn, "max_total")
    if not found.robust[0]:
        return False
    total, most = float((found.export_kw - found.import_kw).sum()), drawn.customers.most_kw
    assert total == pytest.approx(search_total(drawn), rel=ALLOWED), seed
    fair = find_envelopes(*drawn, "max_min")
    rooms = np.concatenate([fair.export_kw[0], -fair.import_kw[0]])
    level = search_level(drawn)
    assert np.minimum(rooms, level) == pytest.approx(np.minimum(most, level), rel=ALLOWED, abs=0.02), seed
    return bool(total < most.sum() - 0.1)


@pytest.mark.slow
def test_two_customers_get_what_an_exhaustive_search_finds() -> None:
    assert sum(_agree(seed, phases=False) for seed in range(0, 20, 5)) >= 1


@pytest.mark.slow
def test_two_customers_on_phases_get_what_an_exhaustive_search_finds() -> None:
    assert sum(_agree(seed, phases=True) for seed in range(0, 20, 5)) >= 2
