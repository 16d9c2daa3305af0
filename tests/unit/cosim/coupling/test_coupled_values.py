"""What other simulators may give: numbers, switches and units of time, each refused by one message where it is none."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from cosim.coupling.inputs import spread
from cosim.coupling.mosaik import Simulator
from cosim.coupling.names import make_inputs, read_number, read_plug, read_switches
from cosim.errors import ScenarioError


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.array(0.5), Decimal("0.5"), -1e9])
def test_numbers(value: Any) -> None:
    assert read_number(value, "x") == float(value)


@pytest.mark.parametrize(
    "value", [1e300, -1e49, 10**400, math.nan, np.array([1.0, 2.0]), np.complex128(1 + 1j), 1j, "1", None, True, [1]]
)
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(ScenarioError, match=r"house, P_load\[MW\]: expected a"):
        make_inputs({"house": {"P_load[MW]": [value]}}, {}, 60)


@pytest.mark.parametrize("values", [[True, False], [np.array([0, 1])], ["yes"], [math.nan], [2]])
def test_switches_that_contradict_or_are_none_are_refused(values: list[Any]) -> None:
    with pytest.raises(ScenarioError, match="outage: expected"):
        read_switches(values, "outage")
    assert read_switches([1, True, np.True_], "outage")


def test_energies_that_are_not_whole_or_do_not_fit_are_refused() -> None:
    for value in (10**30, 1500.7, True):
        with pytest.raises(ScenarioError, match="interval 0, load of ann: expected whole"):
            spread(None, 0, "load", {"ann": value}, np.zeros(1, np.int64))  # type: ignore[arg-type, dict-item]


@pytest.mark.parametrize("resolution", [0, -1, math.nan, math.inf, 1e-300, "1", None])
def test_units_of_time(resolution: Any) -> None:
    with pytest.raises(ScenarioError, match="time_resolution"):
        Simulator().init("ours", time_resolution=resolution)
    with pytest.raises(ScenarioError, match="changes: expected sections"):
        Simulator().create(1, "Market", scenario="default", changes="x")


def test_a_name_of_a_device_is_of_one_device() -> None:
    ours = Simulator()
    ours._run = object()  # type: ignore[assignment]
    ours._plugged["House-0", "roof"] = read_plug({"name": "roof", "kind": "pv", "power_kW": 3.0}, "plug")
    with pytest.raises(ScenarioError, match="another name for another device"):
        ours._plug("House-0", read_plug({"name": "roof", "kind": "pv", "power_kW": 4.0}, "plug"))
