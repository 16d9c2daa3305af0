"""What would mend a feeder: arithmetic on small tables; against runs in tests/agreement/test_mends_agreement.py."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cosim.portfolio.mends as room
from cosim.portfolio.mends import (
    BY_NO_SHIFT,
    BY_SHIFT,
    Extremes,
    Factors,
    describe_shift,
    find_factors,
    find_tap,
    measure_cuts,
    measure_mends,
    measure_rating,
    set_own_limits,
)
from grid_models.powerflow.limits import Limits

NONE = np.zeros(0)
VIOLATIONS = ("element_type", "element", "name", "quantity", "value", "limit")


def limits_of(low: Any, high: Any) -> Limits:
    return Limits(np.asarray(low, float), np.asarray(high, float), NONE, NONE)


def test_the_rating_is_that_of_the_branch_that_lacks_most() -> None:
    rows = [
        ("line", 3, "cable 3", "loading_percent", 110.0, 100.0),
        ("line", 3, "cable 3", "loading_percent", 125.0, 100.0),
        ("trafo", 3, "T", "loading_percent", 90.0, 60.0),
        ("bus", 3, "b", "vm_pu", 1.2, 1.1),
    ]
    found = measure_rating(pd.DataFrame(rows, columns=VIOLATIONS))
    assert found == {
        "mend_rating_percent": pytest.approx(50.0),
        "mend_rating_element": "T",
        "mend_rating_elements": 2,
    }
    unnamed = measure_rating(pd.DataFrame([("line", 7, "", "loading_percent", 150.0, 100.0)], columns=VIOLATIONS))
    assert unnamed["mend_rating_element"] == "line 7"


def make_street() -> tuple[Any, Limits]:
    """Two lines and a transformer, with limits of their own."""
    tables = {"line": pd.DataFrame(index=[3, 7]), "trafo": pd.DataFrame(index=[3])}
    return SimpleNamespace(net=tables), Limits(NONE, NONE, np.array([100.0, 80.0]), np.array([100.0]))


def test_what_the_head_alone_asks_for_is_no_matter_of_a_rating() -> None:
    rows = [
        (0, "trafo", 3, "T", "loading_percent", 90.0, 60.0),  # the series alone
        (1, "trafo", 3, "T", "loading_percent", 125.0, 60.0),  # and the transformer's own limit
        (2, "line", 7, "cable 7", "loading_percent", 79.0, 60.0),
        (2, "line", 3, "cable 3", "loading_percent", 70.0, 60.0),
        (3, "bus", 3, "b", "vm_pu", 0.85, 0.9),
    ]
    table = pd.DataFrame(rows, columns=("time", *VIOLATIONS))
    judged, intervals = set_own_limits(table, *make_street())
    assert judged["time"].tolist() == [1, 3]
    assert judged["limit"].tolist() == [100.0, 0.9]
    assert intervals == 2
    assert measure_rating(judged) == {
        "mend_rating_percent": pytest.approx(25.0),
        "mend_rating_element": "T",
        "mend_rating_elements": 1,
    }


@pytest.mark.parametrize(
    ("value", "quantity", "voltage", "note"),
    [
        (90.0, "loading_percent", "not needed", "limit of the head: in 1 interval, no rating mends it"),
        (1.2, "vm_pu", "cannot be told", "voltage: the head has a voltage of its own in each interval"),
    ],
)
def test_a_run_at_a_series_of_its_head_says_what_cannot_be_told(
    value: float, quantity: str, voltage: str, note: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = (0, "trafo", 3, "T", quantity, value, 60.0 if quantity == "loading_percent" else 1.1)
    tables = {
        "violations": pd.DataFrame([row], columns=("time", *VIOLATIONS)),
        "curtailment": pd.DataFrame(columns=["time", "seller", "buyer", "curtailed_wh", "reason"]),
    }
    scenario = SimpleNamespace(
        network=SimpleNamespace(head_file="head.parquet"),
        market=SimpleNamespace(network="after"),
        pv=SimpleNamespace(control="none", volt_watt=False),
        tap_changer=SimpleNamespace(enabled=False),
        horizon=SimpleNamespace(interval_minutes=60),
    )
    result: Any = SimpleNamespace(
        scenario=scenario,
        net=SimpleNamespace(gen=pd.DataFrame({"in_service": []})),
        has_table=lambda _: False,
        table=lambda name: SimpleNamespace(to_pandas=lambda: tables[name]),
    )
    monkeypatch.setattr(room, "_rebuild", lambda _: make_street())
    found = measure_mends(result)
    assert (found["mend_voltage"], found["mend_note"]) == (voltage, note)
    assert (found["mend_rating_percent"], found["mend_rating_element"]) == (0.0, None)
    assert found["mend_head_shift_pu"] == (0.0 if voltage == "not needed" else None)


def test_no_rating_must_grow_where_no_branch_is_overloaded() -> None:
    rows = [("bus", 3, "b", "vm_pu", 1.2, 1.1)]
    assert measure_rating(pd.DataFrame(rows, columns=VIOLATIONS))["mend_rating_percent"] == 0.0


def cuts(*rows: tuple[Any, ...], minutes: int = 30) -> dict[str, Any]:
    table = pd.DataFrame(rows, columns=["time", "seller", "buyer", "curtailed_wh", "reason"])
    run: Any = SimpleNamespace(scenario=SimpleNamespace(horizon=SimpleNamespace(interval_minutes=minutes)))
    return measure_cuts(run, table)


def test_cuts_are_of_one_house_in_one_interval() -> None:
    found = cuts(
        (0, "a", "grid", 1000, "overvoltage"),
        (0, "a", "b", 500, "line_overload"),
        (0, "grid", "b", -500, "line_overload"),  # what it was not sold it buys from the grid
        (1, "a", "grid", 1200, "overvoltage"),
        (1, "c", "grid", 9000, "dark"),
        (2, "grid", "c", 700, "undervoltage"),
    )
    assert found == {
        "mend_export_cut_kw": 3.0,
        "mend_export_cut_house": "a",
        "mend_import_cut_kw": 1.4,
        "mend_import_cut_house": "c",
    }


def test_nothing_is_cut() -> None:
    found = cuts((0, "grid", "b", -500, "line_overload"))
    assert found["mend_import_cut_kw"] == found["mend_export_cut_kw"] == 0.0
    assert found["mend_import_cut_house"] is found["mend_export_cut_house"] is None


BUS = st.tuples(
    st.floats(0.9, 1.1), st.floats(-0.1, 0.1), st.floats(0.0, 0.05), st.floats(0.85, 0.97), st.floats(1.03, 1.1)
)


@settings(max_examples=60)
@given(st.lists(BUS, min_size=1, max_size=4), st.floats(0.8, 1.2))
def test_factors_are_where_all_limits_are_kept(buses: list[tuple[float, ...]], factor: float) -> None:
    n, rise, more, low, high = map(np.array, zip(*buses, strict=True))
    extremes = Extremes(n + rise, n + rise + more)
    found = find_factors(n, extremes, limits_of(low, high), np.ones(len(n), bool))
    lowest, highest = (factor * n + (values - n) / factor for values in extremes)  # the law, bus by bus
    kept = bool((lowest >= low).all() and (highest <= high).all())
    inside = found.least <= factor <= found.most
    near = min(abs(factor - found.least), abs(factor - found.most)) < 1e-9
    assert kept == inside or near


def test_buses_without_supply_and_those_that_do_not_follow_count_for_nothing() -> None:
    extremes = Extremes(np.array([0.95, np.nan, 0.5]), np.array([1.05, np.nan, 1.5]))
    found = find_factors(np.ones(3), extremes, limits_of([0.9] * 3, [1.1] * 3), np.array([True, True, False]))
    assert found.least < 1.0 < found.most
    assert find_factors(np.ones(3), extremes, limits_of([0.9] * 3, [1.1] * 3), np.zeros(3, bool)) == Factors(
        0.0, math.inf
    )


@pytest.mark.parametrize(
    ("factors", "shift"),
    [
        (Factors(0.9, 0.980005), -0.02),
        (Factors(0.9, 0.97999), -0.0201),
        (Factors(1.01234, 1.1), 0.0124),
        (Factors(0.9, 1.1), 0.0),
    ],
)
def test_the_smallest_shift_is_rounded_to_where_it_holds(factors: Factors, shift: float) -> None:
    assert describe_shift(factors, 1.0) == {"mend_voltage": BY_SHIFT, "mend_head_shift_pu": shift}


def test_no_shift_brings_voltages_nearer_to_one_another() -> None:
    found = describe_shift(Factors(1.02, 0.98), 1.05)
    assert found == {"mend_voltage": BY_NO_SHIFT, "mend_band_lacks_pu": pytest.approx(0.042)}


def make_net(**trafo: Any) -> Any:
    fields = {
        "name": "T", "in_service": True, "hv_bus": 0, "lv_bus": 1, "tap_pos": 0, "tap_min": -2, "tap_max": 2,
        "tap_neutral": 0, "tap_step_percent": 2.5, "tap_side": "hv", "tap_step_degree": 0.0,
    }  # fmt: skip
    bus = pd.DataFrame({"vn_kv": [20.0, 0.4, 0.4]})
    return SimpleNamespace(bus=bus, trafo=pd.DataFrame([fields | trafo]), trafo3w=pd.DataFrame())


def tap_of(highest: tuple[float, ...], **trafo: Any) -> Any:
    extremes = Extremes(np.array([1.0, 1.0, 1.0]), np.array(highest))
    feeder: Any = SimpleNamespace(conductors=lambda _: ("",))
    found = find_tap(make_net(**trafo), feeder, np.ones(3), extremes, limits_of([0.9] * 3, [1.1] * 3))
    return found.get("mend_tap_steps")


def test_the_fewest_steps_of_the_changer_do_it() -> None:
    assert tap_of((1.0, 1.02, 1.11)) == 1
    assert tap_of((1.0, 1.02, 1.13)) == 2
    assert tap_of((1.0, 1.02, 1.11), tap_side="lv") == -1
    assert tap_of((1.0, 1.02, 1.13), tap_pos=1) is None  # one step is left
    assert tap_of((1.0, 1.02, 1.09)) == 0


@pytest.mark.parametrize(
    "trafo",
    [{"tap_step_percent": np.nan}, {"tap_side": None}, {"tap_step_degree": 5.0}, {"in_service": False}, {"lv_bus": 0}],
)
def test_a_transformer_without_taps_has_no_steps(trafo: dict[str, Any]) -> None:
    assert tap_of((1.0, 1.02, 1.11), **trafo) is None


def test_taps_do_not_mend_what_is_before_the_transformer() -> None:
    assert tap_of((1.12, 1.02, 1.11)) is None
