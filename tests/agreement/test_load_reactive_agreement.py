"""Loads in place of a net's own draw the same reactive power: runs and validations equal `runpp` on the net as given.

No key of reactive power is set. SimBench grids need the extra `simbench`.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pandapower.networks as pn
import pandas as pd
import pytest

from cosim import Scenario, run, validate
from data.prices import PriceSource
from data.tables import profiles_from_frame

pytestmark = pytest.mark.slow  # whole runs beside runpp

WIDE = {"min_vm_pu": 0.5, "max_vm_pu": 1.5, "max_loading_percent": 1000.0}
HOURS = ("2017-01-01T00:00Z", "2017-01-01T01:00Z")
CODES = ("1-LV-rural1--0-sw", "1-LV-rural2--0-sw", "1-LV-semiurb4--0-sw", "1-LV-urban6--0-sw")


def make_net(code: str) -> Any:
    if code == "cigre_lv":
        return pn.create_cigre_network_lv()
    simbench = pytest.importorskip("simbench", reason="the extra gridsettle[simbench] is not installed")
    return simbench.get_simbench_net(code)


def make_table(net: Any) -> pd.DataFrame:
    """Active load and generation of every bus with a load, as the net has them; nothing says reactive power."""

    def power_w(table: str, bus: int) -> int:
        own = net[table][(net[table].bus == bus) & net[table].in_service]
        return round(float((own.p_mw * own.scaling).sum()) * 1e6)

    buses = net.load.bus.unique().tolist()
    return pd.DataFrame(
        [
            {"time": time, "participant": str(net.bus.name[bus]), "load_wh": load, "pv_wh": power_w("sgen", bus)}
            for bus in buses
            for load in [power_w("load", bus)]
            for time in HOURS
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize("code", ["cigre_lv", *CODES])
def test_a_run_and_a_validation_equal_runpp_on_the_net_as_given(code: str, tmp_path: Path) -> None:
    net, table = make_net(code), None
    given, table = deepcopy(net), make_table(net)
    pp.runpp(given)
    assert given.res_ext_grid.q_mvar.sum() > 0.0
    table.to_csv(tmp_path / "own.csv", index=False)
    scenario = Scenario(
        profiles={"source": "table", "file": tmp_path / "own.csv", "price_eur_per_kwh": 0.2},
        horizon={"hours": 2},
        market={"mechanism": "none", "feed_in": True},
        battery={"capacity_kwh_min": 0.0, "capacity_kwh_max": 0.0},
        limits=WIDE,
        network={"source": "named", "name": code},
    )
    ran = run(scenario)
    expected = given.res_bus.vm_pu.to_numpy()
    found = ran.bus_voltage["vm_pu"].to_numpy().reshape(2, -1)
    np.testing.assert_allclose(found, np.stack([expected, expected]), atol=1e-5, rtol=0.0)
    loading = ran.branch_loading["loading_percent"].to_numpy().reshape(2, -1)[0]
    branches = np.concatenate([given.res_line.loading_percent, given.res_trafo.loading_percent])
    np.testing.assert_allclose(loading, branches, atol=1e-2)
    purchase = {"time": HOURS[0], "seller": "grid", "buyer": table["participant"][0], "energy_wh": 1}
    trades, profiles = (
        pd.DataFrame([{**purchase, "price_eur_per_kwh": 0.1}]),
        profiles_from_frame(table, price=PriceSource(0.2)),
    )
    places = {name: name for name in profiles.participants}
    judged = validate(net, trades, profiles, participants=places, limits=WIDE)
    for column in ("before_vm_pu", "after_vm_pu"):
        np.testing.assert_allclose(judged.bus_voltage[column], expected, atol=1e-5, rtol=0.0)


def test_what_trades_move_beyond_a_profile_draws_reactive_power_too() -> None:
    """Without profiles, every load is that of its trades; power that is sold has none."""
    net = pn.create_cigre_network_lv()
    given = deepcopy(net)
    pp.runpp(given)
    rows = [
        {"time": HOURS[0], "seller": "grid", "buyer": name, "energy_wh": wh, "price_eur_per_kwh": 0.1}
        for name, wh in make_table(net).groupby("participant")["load_wh"].first().items()
    ]
    judged = validate(net, pd.DataFrame(rows), participants={row["buyer"]: row["buyer"] for row in rows}, limits=WIDE)
    np.testing.assert_allclose(judged.bus_voltage["after_vm_pu"], given.res_bus.vm_pu, atol=1e-5, rtol=0.0)
    sold = [{**row, "seller": row["buyer"], "buyer": "grid"} for row in rows]
    sales = validate(net, pd.DataFrame(sold), participants={row["seller"]: row["seller"] for row in sold}, limits=WIDE)
    assert not sales.houses["q_var"].any()


def test_reactive_power_of_profiles_is_what_runpp_gets(tmp_path: Path) -> None:
    """Columns of kvar, capacitive at one house; the sum of the net's loads follows the table, not its power factors."""
    net = pn.create_cigre_network_lv()
    table = make_table(net).assign(pv_wh=0)
    table["q_kvar"] = np.linspace(-0.2, 0.4, len(table)) * table["load_wh"] / 1000.0
    table.to_csv(tmp_path / "own.csv", index=False)
    scenario = Scenario(
        profiles={"source": "table", "file": tmp_path / "own.csv", "price_eur_per_kwh": 0.2},
        horizon={"hours": 2},
        market={"mechanism": "none"},
        limits=WIDE,
        network={"source": "named", "name": "cigre_lv"},
    )
    ran = run(scenario)
    for k, time in enumerate(HOURS):
        hour = table[table["time"] == time]
        own = deepcopy(net)
        own.load.drop(own.load.index, inplace=True)
        bus = [int(own.bus.index[own.bus.name == name][0]) for name in hour["participant"]]
        pp.create_loads(own, bus, p_mw=hour["load_wh"] / 1e6, q_mvar=hour["q_kvar"] / 1e3)
        pp.runpp(own)
        found = ran.bus_voltage["vm_pu"].to_numpy().reshape(2, -1)[k]
        np.testing.assert_allclose(found, own.res_bus.vm_pu, atol=1e-5, rtol=0.0)
