"""In a notebook: small tables that say what they show, and never run what a name contains."""

from __future__ import annotations

import re

import pandapower.networks as pn
import pandas as pd

from cosim import Scenario, run
from cosim.validation.validate import validate

SMALL = Scenario().with_changes(name="<b>mine", horizon={"hours": 3}, houses={"n_houses": 3, "n_prosumers": 1})


def cells(page: str) -> list[list[str]]:
    return [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(<td>.*?)</tr>", page)]


def test_a_scenario_shows_what_differs_from_the_defaults() -> None:
    page = SMALL._repr_html_()
    shown = {key: (value, default) for key, value, default in cells(page)}
    assert shown["horizon.hours"] == ("3", "default 8760")
    assert shown["houses.n_prosumers"][0] == "1"
    assert shown["market.mechanism"] == (SMALL.market.mechanism, "")
    assert "limits.max_vm_pu" not in shown
    assert "<b>" not in page
    assert "&lt;b&gt;mine" in page


def test_a_result_shows_the_summary_with_units() -> None:
    result = run(SMALL)
    page = result._repr_html_()
    shown = {name: (value, unit) for name, value, unit in cells(page)}
    assert shown["load"] == (f"{result.summary['energy_kwh']['load']:,.2f}", "kWh")
    assert shown["intervals clean"] == ("3", "")
    assert shown["lowest voltage"][1] == "pu"
    assert "<b>" not in page


def test_a_validation_shows_the_trades_that_do_not_fit() -> None:
    trades = pd.DataFrame(
        {
            "time": ["2017-06-01T12:00Z"] * 2,
            "seller": ["Bus R18", "Bus R15"],
            "buyer": ["grid", "Bus R11"],
            "energy_kwh": [160.0, 5.0],
            "price_eur_per_kwh": [0.1, 0.1],
        }
    )
    validation = validate(pn.create_cigre_network_lv(), trades, limits={"max_vm_pu": 1.05})
    page = validation._repr_html_()
    assert "1 accepted, 1 curtailed, 0 rejected" in page
    assert len(cells(page)) == 1
    assert "Bus R18" in page
