"""Tests of the table of element types, and of the page that repeats it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandapower as pp
import pandas as pd
import pytest

from grid_models.errors import GridError
from grid_models.feeder.elements import ELEMENT_TYPES, Handling
from grid_models.feeder.feeder import make_feeder

PAGE = Path(__file__).parents[4] / "docs" / "elements.md"
COLUMNS = ["element", "run and validate", "island", "balance", "report"]


def read_page() -> dict[str, dict[str, str]]:
    """Cells of each element's row, by the heading of the column."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert head == COLUMNS
    assert all(len(row) == len(head) and all(row) for row in rows)
    return {element: dict(zip(head, row, strict=True)) for row in rows for element in re.findall(r"`(\w+)`", row[0])}


def street() -> Any:
    net = pp.create_empty_network()
    medium, low = pp.create_bus(net, 20.0), pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV")
    pp.create_load(net, low, 0.001)
    return net


def notes(net: Any, *, keep_elements: bool = True) -> str:
    return " | ".join(make_feeder("street", net, ["a"], [1], keep_elements=keep_elements).notes)


def test_every_table_of_a_net_has_a_kind_and_a_row() -> None:
    tables = {
        name
        for name, table in pp.create_empty_network().items()
        if isinstance(table, pd.DataFrame) and not name.startswith(("_", "res_"))
    }
    assert set(ELEMENT_TYPES) == tables
    assert set(read_page()) == tables


@pytest.mark.parametrize("element", ELEMENT_TYPES)
def test_page_says_what_the_code_does(element: str) -> None:
    kind, row = ELEMENT_TYPES[element], read_page()[element]
    assert row["run and validate"].startswith(kind.handling.value)
    if kind.handling is Handling.REPLACED:
        assert "kept with `keep_elements`" in row["run and validate"]
    if kind.handling in (Handling.REPLACED, Handling.KEPT):
        assert "background" in row["balance"]
        assert "note" in row["report"]
    if kind.handling in (Handling.IGNORED, Handling.REFUSED, Handling.NOT_RUN):
        assert row["island"].startswith(kind.handling.value)


def test_notes_name_what_is_replaced_or_kept() -> None:
    net = street()
    pp.create_motor(net, 1, 0.001, 0.9)
    pp.create_shunt(net, 1, 0.001)
    pp.create_sgen(net, 1, 0.001, in_service=False)
    assert notes(net, keep_elements=False) == (
        "elements of the net that participants replace: loads (1), motors (1); keep_elements = true keeps them | "
        "elements of the net that are kept beside the participants: shunts (1)"
    )
    assert notes(net) == "elements of the net that are kept beside the participants: loads (1), motors (1), shunts (1)"


def test_sources_are_neither_replaced_nor_counted() -> None:
    net = street()
    pp.create_gen(net, 0, 0.0, vm_pu=1.0, slack=True)
    feeder = make_feeder("street", net, ["a"], [1], keep_elements=False)
    assert len(feeder.net.gen) == 1
    assert "generators" not in " ".join(feeder.notes)


def test_converters_are_refused() -> None:
    net = street()
    pp.create_vsc(net, 1, pp.create_bus_dc(net, 1.0), 0.1, 0.1, 0.1)
    with pytest.raises(GridError, match="expected an AC network, got DC buses"):
        notes(net)


def test_participants_beside_loads_of_different_dependence_joined_by_a_switch_are_refused() -> None:
    net = street()
    other = pp.create_bus(net, 0.4)
    pp.create_switch(net, 1, other, "b")
    pp.create_load(net, other, 0.001, const_z_p_percent=50.0)
    with pytest.raises(GridError, match="buses 1, 2, which closed switches join"):
        notes(net)
    assert "loads (2)" in " ".join(make_feeder("street", net, ["a"], [0]).notes)


def test_rows_beside_voltage_dependent_loads_leave_their_mean() -> None:
    net = street()
    pp.create_load(net, 1, 0.002, const_i_q_percent=30.0)
    attached = make_feeder("street", net, ["a"], [1]).net
    assert attached.load["const_i_q_percent"].mean() == pytest.approx(net.load["const_i_q_percent"].mean(), abs=1e-14)
