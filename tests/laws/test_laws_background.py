"""Law: elements of the net that belong to nobody are in the books, with the grid, in islands and in the dark."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from background_runs import add_elements, cut_grid, find_agreeing, make_net, run_on
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from cosim import Result
from cosim.audit.audit import audit_ledger
from cosim.audit.rerun import rerun_ledger


def draw_run(folder: Path, rng: random.Random) -> tuple[Any, Result]:
    """A run on a random net with an outage at a random hour, or two."""
    net = make_net(meshed=rng.random() < 0.4)
    add_elements(net, rng)
    events = [cut_grid(rng.randint(1, 3), rng.randint(1, 3))]
    if rng.random() < 0.4:
        events.append({**cut_grid(rng.randint(0, 3), 2), "grid": False, "lines": [f"line {rng.randint(0, 3)}"]})
    battery = rng.choice([0.0, 1.0, 8.0])
    community = {
        "enabled": rng.random() < 0.5,
        "battery_kwh": rng.choice([0.5, 20.0]),
        "fuel_cell": rng.choice(["none", "pem-6kw"]),
    }
    options = {
        "battery": {"capacity_kwh_min": battery, "capacity_kwh_max": battery},
        "community": community if community["enabled"] else {},
        "houses": {"load_cos_phi": rng.choice([1.0, 0.95])},
        "events": events,
    }
    return net, run_on(folder, net, **options)


@pytest.mark.slow
@settings(max_examples=4, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # a run is seconds
@given(st.integers(0, 2**32))
@example(60000)  # a line outage takes all houses, and the grid still feeds generation at the busbar
def test_background_is_in_the_books_and_the_run_passes_its_audit(seed: int) -> None:
    with TemporaryDirectory() as folder:
        net, result = draw_run(Path(folder), random.Random(seed))
        balance = result.energy_balance
        if "background_load_wh" not in balance:
            return
        assert (balance["residual_wh"] == 0).all()
        for time, p_grid_kw in zip(balance.index, result.intervals["p_grid_kw"], strict=True):
            assert find_agreeing(result, net, time), (time, dict(balance.loc[time]))
            row = balance.loc[time]
            assert abs(row["from_grid_wh"] - row["to_grid_wh"] - 1000 * p_grid_kw) <= 3
            if p_grid_kw == 0:
                assert row["from_grid_wh"] == row["to_grid_wh"] == 0
        assert result.directory is not None
        assert audit_ledger(result.directory, sample=None).findings == ()
        again = rerun_ledger(result.directory)
        assert again.n_different == 0
        assert not again.findings
