"""pandapower judges the net as it was given: an error in attaching the participants is found by every check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandapower as pp
import pandas as pd
import pytest

from cosim.scenario.model import Scenario
from cosim.simulation.simulate import run
from cosim.validation.validate import validate
from grid_models.errors import EngineDisagreementError
from grid_models.feeder import feeder as attaching
from grid_models.feeder.feeder import make_feeder, with_ratings
from grid_models.powerflow.engine import PowerFlow


def add_load(net: Any) -> None:
    net.load["p_mw"] = 0.002


def stretch_lines(net: Any) -> None:
    net.line["length_km"] *= 1.01


def rate_lines_higher(net: Any) -> None:
    net.line["max_i_ka"] *= 1.01


def turn_tap(net: Any) -> None:
    columns = ["tap_changer_type", "tap_side", "tap_neutral", "tap_step_percent", "tap_pos"]
    net.trafo[columns] = ["Ratio", "hv", 0, 2.5, 1]


ERRORS = [add_load, stretch_lines, rate_lines_higher, turn_tap]


@pytest.fixture(params=ERRORS)
def faulty_attaching(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    add_elements = attaching.add_elements

    def attach_wrongly(net: Any, *others: Any) -> None:
        add_elements(net, *others)
        request.param(net)

    monkeypatch.setattr(attaching, "add_elements", attach_wrongly)


def street() -> Any:
    net = pp.create_empty_network()
    medium, low = pp.create_bus(net, 20.0), pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV")
    for name in ("a", "b"):
        house = pp.create_bus(net, 0.4, name=name)
        pp.create_line(net, low, house, 0.1, "NAYY 4x150 SE")
        pp.create_load(net, house, 0.001)
    return net


@pytest.mark.usefixtures("faulty_attaching")
def test_the_engine_is_judged_by_the_net_as_given() -> None:
    engine = PowerFlow(make_feeder("street", street(), ["a", "b"], [2, 3]))
    with pytest.raises(EngineDisagreementError, match="street"):
        engine.verify(np.array([[-3.0, 1.0]]))


@pytest.mark.slow
@pytest.mark.usefixtures("faulty_attaching")
def test_a_run_is_judged_by_the_net_as_given() -> None:
    with pytest.raises(EngineDisagreementError):
        run(Scenario().with_changes(horizon={"hours": 3}))


@pytest.mark.usefixtures("faulty_attaching")
def test_validate_is_judged_by_the_net_as_given() -> None:
    trade = {"time": ["2017-06-01T12:00Z"], "seller": "a", "buyer": "b", "energy_kwh": 3.0, "price_eur_per_kwh": 0.1}
    with pytest.raises(EngineDisagreementError):
        validate(street(), pd.DataFrame(trade))


def test_elements_lost_or_kept_against_the_wish_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attaching, "drop_elements", lambda net: None)
    engine = PowerFlow(make_feeder("street", street(), ["a", "b"], [2, 3], keep_elements=False))
    with pytest.raises(EngineDisagreementError):
        engine.verify(np.array([[-3.0, 1.0]]))


@pytest.mark.parametrize("change", [lambda feeder: with_ratings(feeder, {"line a": 0.2}), lambda feeder: feeder])
def test_what_a_scenario_changes_is_no_error(change: Callable[[Any], Any]) -> None:
    net = street()
    net.line["name"] = ["line a", "line b"]
    engine = PowerFlow(change(make_feeder("street", net, ["a", "b"], [2, 3], keep_elements=False)))
    assert engine.verify(np.array([[-3.0, 1.0]])).n == 1


def test_power_of_participants_beside_voltage_dependent_loads_is_what_they_meter() -> None:
    """pandapower lets all power of such a bus depend on the voltage; that of a meter does not."""
    net = street()
    net.load[["const_z_p_percent", "const_z_q_percent"]] = 60.0
    feeder = make_feeder("street", net, ["a", "b"], [2, 3])
    p_kw = np.array([[-30.0, 20.0]])
    flow = PowerFlow(feeder).solve(p_kw)
    vm = flow.vm_pu[0, 2:]
    own_kw = 1.0 * (0.4 + 0.6 * vm**2)
    assert flow.converged[0]
    assert flow.p_grid_kw[0] - flow.losses_kw[0] == pytest.approx(own_kw.sum() - p_kw.sum(), abs=1e-5)
