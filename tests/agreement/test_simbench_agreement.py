"""SimBench grids run with their own profiles: voltages equal `runpp` on SimBench's absolute values.

In whole Wh a quarter hour what a bus draws and feeds is known to 2 W and 2 var each. What that changes, by the
sensitivities of pandapower's own solution, is all that differs; and it is bounded by them.
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
PER_WH = 250_000.0
"""Wh in a quarter hour of 1 MW."""
WIDE = {"min_vm_pu": 0.5, "max_vm_pu": 1.5, "max_loading_percent": 1000.0, "override": True}


def solve(net: Any) -> pd.Series:
    pp.runpp(net, tolerance_mva=1e-10, numba=False)
    return net.res_bus.vm_pu


def sum_powers(net: Any) -> np.ndarray:
    """What loads draw and generators feed at each bus, (n, 2, 2) MW and Mvar."""
    sums = (net[table].groupby("bus")[["p_mw", "q_mvar"]].sum() for table in ("load", "sgen"))
    return np.stack([each.reindex(net.bus.index, fill_value=0.0).to_numpy() for each in sums], axis=1)


def find_sensitivities(net: Any) -> np.ndarray:
    """By how much each bus's voltage changes with power drawn at each bus, (n, n, 2) pu per MW and Mvar.

    The inverse of the Jacobian of pandapower's last solution; 0 at the external grid.
    """
    internal, at = net._ppc["internal"], net._pd2ppc_lookups["bus"][net.bus.index]
    pq, n_pv = internal["pq"], len(internal["pv"])
    inverse = np.linalg.inv(internal["J"].toarray()) / net._ppc["baseMVA"]
    n_bus, n_angle = len(net._ppc["bus"]), n_pv + len(pq)
    of_bus = np.zeros((n_bus, n_bus, 2))
    of_bus[np.ix_(pq, pq, [0])] = -inverse[n_angle:, n_pv:n_angle, None]
    of_bus[np.ix_(pq, pq, [1])] = -inverse[n_angle:, n_angle:, None]
    return of_bus[np.ix_(at, at)]


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
        difference = ours[k] - solve(net).to_numpy()
        of_power, exact = find_sensitivities(net), sum_powers(net)
        moved = np.rint(exact * PER_WH) / PER_WH - exact
        said_by_rounding = np.einsum("ijc,jc->i", of_power, moved[:, 0] - moved[:, 1])
        assert np.abs(difference - said_by_rounding).max() < 1e-9
        most = np.where(exact != 0.0, 0.5 / PER_WH, 0.0).sum(axis=1)  # 2 W and 2 var for each sum that is rounded
        assert (np.abs(difference) <= np.einsum("ijc,jc->i", np.abs(of_power), most) + 1e-9).all()
        assert np.abs(difference).max() > 1e-8  # whole Wh do change something
