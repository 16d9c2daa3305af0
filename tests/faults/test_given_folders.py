"""Whatever stands in a folder of tables, it is solved, has no solution, or is refused by one message."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cosim.nets.models import Model
from cosim.nets.solve import solve_network
from grid_models.errors import GridError
from grid_models.phases.tables import COLUMNS, Tables, parse_table

REFERENCE = Path(__file__).parents[1] / "reference" / "four_wire"
LACKING = {
    "terminal": "branch,terminal,bus,conductor,end,i_max_a\ncap,1,h3,a,from,10\ncap,2,h3,n,from,10\n",
    "admittance": "branch,i,j,g_s,b_s\ncap,1,1,0,0.001\ncap,2,2,0,0.001\ncap,1,2,0,-0.001\ncap,2,1,0,-0.001\n",
    "network": "frequency_hz\n50\n",
}
"""Tables that the reference has no need for."""
TEXTS = {name: LACKING.get(name) or (REFERENCE / f"{name}.csv").read_text(encoding="utf-8") for name in COLUMNS}
CELLS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["0", "-1", "1e-300", "1e-12", "1e12", "nan", "inf", "5.5", "a", "n", "abcn", "an"]),
    st.sampled_from(["b1", "h3", "hv"]),
)


def changed(table: str, row: int, column: int, cell: str) -> dict[str, str]:
    rows = list(csv.reader(io.StringIO(TEXTS[table])))
    cells = rows[row % len(rows)]
    cells[column % len(cells)] = cell
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return {**TEXTS, table: text.getvalue()}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(COLUMNS)), st.integers(1, 100), st.integers(0, 12), CELLS)
@example("linecode_matrix", 1, 3, "1e-300")
@example("transformer", 1, 9, "1e-300")
@example("transformer", 1, 3, "1e-300")
@example("source", 1, 2, "1e12")
@example("bus", 2, 1, "1e-300")
@example("line", 1, 3, "1e-300")
@example("admittance", 1, 3, "1e12")
@example("admittance", 1, 4, "1e-300")
@example("terminal", 2, 3, "a")
def test_a_folder_is_solved_or_refused(table: str, row: int, column: int, cell: str) -> None:
    try:
        tables = Tables(
            **{name: parse_table(text, name, name) for name, text in changed(table, row, column, cell).items()}
        )
        found = solve_network(tables, Model.FOUR_WIRE)
    except GridError as refused:
        said = str(refused)
    else:
        said = ": expected "
        assert found.converged == bool(np.isfinite(list(found.v.values())).all())
    assert ": expected " in said
