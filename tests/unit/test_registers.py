"""Registers that must name the same things: what is added to one and forgotten in another is found here."""

from __future__ import annotations

from cosim import Scenario
from cosim.case.case import build_case
from cosim.case.devices import Device
from cosim.interval.fold import run_intervals
from cosim.simulation.simulate import list_tables, make_tables
from cosim.studies.figures import AXIS_TITLES
from cosim.studies.sweeps import SWEEPS
from market.ledger.format.records import DeviceKind


def test_every_sweep_has_titles_for_its_axes() -> None:
    assert {axis for sweep in SWEEPS.values() for axis in (sweep.x, sweep.y)} <= set(AXIS_TITLES)


def test_every_kind_of_device_has_a_number_on_the_ledger() -> None:
    assert {kind.kind.upper() for kind in Device.__subclasses__()} == set(DeviceKind.__members__)


def test_the_tables_that_are_listed_are_those_that_are_made() -> None:
    for name in ("default", "outage"):
        case = build_case(Scenario.load(name).with_changes(horizon={"hours": 24}, events=()))
        chunk, *_ = run_intervals(case, case.opening)
        assert set(make_tables(case, chunk)) == set(list_tables(case))
