"""Passive elements by their matrices, and the frequency, of a folder of tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grid_models.errors import GridError
from grid_models.phases.circuit import Branch
from grid_models.phases.four_wire import make_four_wire
from grid_models.phases.tables import Tables, format_tables, parse_table, read_tables, write_tables

REFERENCE = Path(__file__).parents[3] / "reference" / "four_wire"
TERMINALS = "branch,terminal,bus,conductor,end,i_max_a\nc,1,b1,a,from,10\nc,2,b1,n,to,10\n"
SYMMETRIC = "branch,i,j,g_s,b_s\nc,1,1,0,0.01\nc,2,2,0,0.01\nc,1,2,0,-0.01\nc,2,1,0,-0.01\n"


def tables(admittance: str = SYMMETRIC, terminals: str = TERMINALS, network: str = "frequency_hz\n50\n") -> Tables:
    given = read_tables(REFERENCE)
    return given._replace(
        terminal=parse_table(terminals, "terminal", "terminal.csv"),
        admittance=parse_table(admittance, "admittance", "admittance.csv"),
        network=parse_table(network, "network", "network.csv"),
    )


def branch(given: Tables, name: str) -> Branch:
    return next(each for each in make_four_wire(given).branches if each.name == name)


def test_a_matrix_lies_between_its_terminals() -> None:
    found = branch(tables(), "c")
    assert found.admittance.tolist() == [[0.01j, -0.01j], [-0.01j, 0.01j]]
    assert (found.conductor, found.end, found.tied) == (("a", "n"), ("from", "to"), ((0, 1),))
    assert branch(tables(terminals=TERMINALS.replace("from", "w1").replace("to,", "w2,")), "c").tied == ()


def test_capacitances_follow_the_frequency() -> None:
    name = read_tables(REFERENCE).line[0]["line"]
    given = [tables(network=f"frequency_hz\n{hz}\n") for hz in (50, 100)]
    for row in (row for each in given for row in each.linecode_matrix):
        row.cells["c_nf_per_km"] = 200.0 if row["i"] == row["j"] else -20.0
    low, high = (branch(each, name).admittance for each in given)
    half = [y[:4, :4] + y[:4, 4:] for y in (low, high)]
    assert np.abs(half[0]).max() > 0.0
    assert np.allclose(half[1], 2.0 * half[0], rtol=1e-6, atol=0.0)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"admittance": SYMMETRIC.replace("1,2,0,-0.01", "1,2,0,-0.02")}, "the same for i,j and j,i"),
        ({"admittance": SYMMETRIC.replace("1,1,0,", "1,1,-1,")}, "generates nothing"),
        ({"admittance": SYMMETRIC + "c,1,3,0,1\n"}, r"admittance\.csv, line 6, column j: expected a terminal of 'c'"),
        ({"admittance": SYMMETRIC + "c,1,2,0,1\n"}, "each pair i, j of branch 'c' once"),
        ({"admittance": SYMMETRIC.replace("c,", "d,")}, r"a branch of terminal\.csv"),
        ({"admittance": "branch,i,j,g_s,b_s\n"}, "expected rows of admittance"),
        ({"network": "frequency_hz\n50\n60\n"}, "one row"),
    ],
)
def test_what_does_not_fit_is_named(changed: dict[str, str], words: str) -> None:
    with pytest.raises(GridError, match=words):
        make_four_wire(tables(**changed))


def test_tables_are_read_back_as_written(tmp_path: Path) -> None:
    write_tables(tables(), tmp_path / "new")
    assert format_tables(read_tables(tmp_path / "new")) == format_tables(tables())
    with pytest.raises(GridError, match="expected a new or empty folder"):
        write_tables(tables(), tmp_path / "new")
