"""Tables of very many rows or columns: what is done grows with their size, and what cannot be meant is said early."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import cosim.case.houses
import data.dialect
from cosim import Scenario, ScenarioError, run
from cosim.case.houses import with_houses
from cosim.cli.app import app
from data.errors import DataError
from data.files import parse_table

N_COLUMNS = 2000


class CountedName(str):
    """A name that counts how often it is compared with others."""

    n_compared = 0
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        CountedName.n_compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def parse(names: list[str], cells: list[str] | None = None) -> tuple[str, ...]:
    rows = [",".join(names), ",".join(cells or ["1"] * len(names))]
    return parse_table(io.StringIO("\n".join(rows) + "\n"), "t.csv").said


def test_names_of_columns_are_not_compared_with_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 200,000 columns each was looked for among all before it: a minute for one row."""
    names = [*(f"c{k}" for k in range(N_COLUMNS)), "c7"]
    monkeypatch.setattr(data.dialect, "_spell_names", lambda header: ([CountedName(name) for name in header], ()))
    with pytest.raises(DataError, match=r"column 'c7': .* got it in column 8 and again in column 2001"):
        parse(names)
    assert CountedName.n_compared <= 5 * N_COLUMNS


def test_a_name_that_is_repeated_at_once_is_told_where() -> None:
    with pytest.raises(DataError, match=r"column 'a': .* got it in column 1 and again in column 3"):
        parse(["a", "b", "a", "a"])


def test_many_empty_columns_are_told_in_a_few_words() -> None:
    assert parse(["a", "", ""], ["1", "", ""]) == tuple(f"column {k}, which is empty, left out" for k in (2, 3))
    said = parse(["a", *[""] * 9], ["1", *[""] * 9])
    assert said == (
        *(f"column {k}, which is empty, left out" for k in (2, 3, 4)),
        "6 more columns, which are empty, left out",
    )


def test_a_message_about_a_wide_table_stays_short() -> None:
    table = parse_table(io.StringIO("time,x\n1,2\n"), "t.csv")
    with pytest.raises(DataError, match=r"\(20000 in all\)") as caught:
        table.check_columns(("time",), (f"c{k}.load_kwh" for k in range(19_999)))
    assert len(str(caught.value)) < 2000


def with_table(folder: Path, n: int, n_houses: int = 5, **changes: object) -> Scenario:
    """A table of houses with a mistake in every row."""
    (folder / "houses.csv").write_text("participant,pv_kwp\n" + "".join(f"h{k},five\n" for k in range(n)))
    return Scenario().with_changes(houses={"n_houses": n_houses, "table": folder / "houses.csv"}, **changes)


def test_a_table_of_far_too_many_rows_is_refused_before_each_is_looked_at(tmp_path: Path) -> None:
    message = r"at most a row for each of 5 houses, as in houses.n_houses, and one for the community, got 1,001 rows"
    with pytest.raises(ScenarioError, match=message):
        with_houses(with_table(tmp_path, 1001))
    for n, n_houses in ((1000, 5), (1201, 1200)):
        with pytest.raises(ScenarioError, match="column 'pv_kwp', row 2: expected"):
            with_houses(with_table(tmp_path, n, n_houses))
    with pytest.raises(ScenarioError, match=r"1200 houses, .* got 1,202 rows; remove rows, or set houses.n_houses"):
        with_houses(with_table(tmp_path, 1202, n_houses=1200))


def test_rows_for_participants_of_profiles_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who they are is not known yet: as many as a scenario can have houses."""
    bounds = type(Scenario().houses).model_fields["n_houses"].metadata
    assert cosim.case.houses.MOST_PARTICIPANTS in [getattr(bound, "le", None) for bound in bounds]
    monkeypatch.setattr(cosim.case.houses, "MOST_PARTICIPANTS", 20)
    profiles = {"source": "table", "file": tmp_path / "profiles.csv"}
    with pytest.raises(ScenarioError, match=r"each of 20 houses and one for the community, got 22 rows; remove rows$"):
        with_houses(with_table(tmp_path, 22, profiles=profiles))
    with pytest.raises(ScenarioError, match="column 'pv_kwp', row 2"):
        with_houses(with_table(tmp_path, 21, profiles=profiles))


def test_a_dataframe_of_far_too_many_rows_is_refused_too() -> None:
    houses = pd.DataFrame({"participant": [f"h{k}" for k in range(1001)], "pv_kwp": -1.0})
    with pytest.raises(ScenarioError, match="houses: expected at most a row for each of 25 houses"):
        run(Scenario(), houses=houses)


def test_a_command_ends_with_code_2_and_nothing_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with_table(tmp_path, 5000)
    Path("s.toml").write_text('[houses]\ntable = "houses.csv"\n')
    done = CliRunner().invoke(app, ["run", "s.toml", "--out", "out"], env={"COLUMNS": "300"})
    assert done.exit_code == 2
    assert "got 5,000 rows; remove rows, or set houses.n_houses" in done.output
    assert not Path("out").exists()
