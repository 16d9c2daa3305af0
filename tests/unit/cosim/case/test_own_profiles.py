"""The user's own CSV profiles on pandapower's nets by name: CIGRE LV and a Kerber net."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosim import run
from cosim.scenario.files import load_scenario
from data.profiles import Profiles
from data.tables import write_profiles
from market.ledger.check.verify import verify_ledger

HOURS = 24


def _profiles(n: int) -> Profiles:
    rng = np.random.default_rng(5)
    sun = np.maximum(0.0, np.sin(np.linspace(0.0, np.pi, HOURS) - 0.4))[:, None]
    return Profiles(
        start=np.datetime64("2019-05-01T00:00:00"),
        interval_minutes=60,
        participants=tuple(f"flat {k}" for k in range(n)),
        load_wh=rng.integers(100, 900, (HOURS, n)),
        pv_wh=(sun * rng.integers(0, 2, n) * 4000).astype(np.int64),
        price_ueur_per_kwh=rng.integers(150_000, 300_000, HOURS),
        provenance={"source": "test"},
    )


@pytest.mark.parametrize(("net", "n"), [("cigre_lv", 15), ("kerber_landnetz_kabel_2", 9)])
def test_own_profiles_on_a_named_net(net: str, n: int, tmp_path: Path) -> None:
    profiles = _profiles(n)
    write_profiles(profiles, tmp_path / "mine.csv")
    (tmp_path / "mine.toml").write_text(
        f"""
        name = "mine"
        horizon = {{start = 2019-05-01T00:00:00Z, hours = {HOURS}}}
        profiles = {{source = "table", file = "mine.csv"}}
        network = {{source = "named", name = "{net}"}}
        engine = {{verify_sample = 24}}
        """
    )
    result = run(load_scenario(tmp_path / "mine.toml"), tmp_path / "out")
    assert result.summary["network"]["intervals"] == HOURS
    assert result.summary["energy_kwh"]["load"] == profiles.load_wh.sum() / 1000
    assert result.summary["energy_kwh"]["pv"] == profiles.pv_wh.sum() / 1000
    assert result.summary["agreement"]["intervals"] == HOURS
    assert result.summary["agreement"]["max_vm_error_pu"] < 1e-9
    assert result.summary["agreement"]["max_loading_error_percent"] < 1e-6
    assert set(result.houses.house) == set(profiles.participants)
    assert verify_ledger(tmp_path / "out").ok
