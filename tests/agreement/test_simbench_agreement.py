"""SimBench grids run with their own profiles: voltages equal `runpp` on SimBench's absolute values.

In whole Wh a quarter hour the powers of a bus are known to 2 W; what that alone changes is bounded, too.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pandas as pd
import pytest

from cosim import Scenario, run
from cosim.nets.importing.simbench import import_simbench
from cosim.nets.importing.written import prepare_files, write_files

pytestmark = pytest.mark.slow

CODES = ("1-LV-rural1--0-sw", "1-LV-rural2--0-sw", "1-LV-semiurb4--0-sw", "1-LV-urban6--0-sw")
N_CHOSEN = 20
WIDE = {"min_vm_pu": 0.5, "max_vm_pu": 1.5, "max_loading_percent": 1000.0, "override": True}


def solve(net: Any) -> pd.Series:
    pp.runpp(net, tolerance_mva=1e-10, numba=False)
    return net.res_bus.vm_pu


def in_whole_wh(net: Any) -> Any:
    """The same net with one load and one generator a bus, in whole Wh a quarter hour."""
    rounded = deepcopy(net)
    for table in ("load", "sgen"):
        sums = net[table].groupby("bus")[["p_mw", "q_mvar"]].sum()
        rounded[table] = rounded[table].iloc[:0]
        add = pp.create_load if table == "load" else pp.create_sgen
        for bus, row in (np.rint(sums * 250_000.0) / 250_000.0).iterrows():
            add(rounded, int(bus), float(row.p_mw), float(row.q_mvar))
    return rounded


@pytest.mark.parametrize("code", CODES)
def test_twenty_quarter_hours_equal_runpp_on_absolute_values(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simbench = pytest.importorskip("simbench", reason="the extra gridsettle[simbench] is not installed")
    net = simbench.get_simbench_net(code)
    monkeypatch.setattr(simbench, "get_simbench_net", lambda code: deepcopy(net))  # reading one takes seconds
    imported = import_simbench(code)
    year = imported.profiles
    assert year is not None
    assert year.n_intervals == 35_136
    chosen = np.sort(np.random.default_rng(CODES.index(code)).choice(year.n_intervals, N_CHOSEN, replace=False))
    picked = replace(
        year,
        load_wh=year.load_wh[chosen],
        pv_wh=year.pv_wh[chosen],
        load_varh=year.load_varh[chosen],
        price_ueur_per_kwh=year.price_ueur_per_kwh[chosen],
    )
    write_files(prepare_files(imported._replace(profiles=picked), tmp_path / "feeder.json", code))
    scenario = Scenario.load(tmp_path / "scenario.toml").with_changes(limits=WIDE)
    found = run(scenario, tmp_path / "run").table("bus_voltage").to_pandas()
    ours = found.pivot(index="time", columns="bus", values="vm_pu").to_numpy()

    power = simbench.get_absolute_values(net, profiles_instead_of_study_cases=True)
    for k, t in enumerate(chosen):
        for (table, column), values in power.items():
            if len(net[table]):
                net[table][column] = values.loc[t]
        assert np.abs(ours[k] - solve(in_whole_wh(net)).to_numpy()).max() < 1e-6
        assert np.abs(ours[k] - solve(net).to_numpy()).max() < 3e-5
