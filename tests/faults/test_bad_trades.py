"""Bad trades and what belongs to them: exit code 2, one message that says where, and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandapower as pp
import pytest
from typer.testing import CliRunner

from cosim.cli.app import app

HEAD = "time,seller,buyer,energy_kwh,price_eur_per_kwh\n"
FIRST = "2017-06-01T12:00Z,ann,bob,1.5,0.1\n"
SECOND = "2017-06-01T13:00Z,bob,grid,2,0.05\n"
PROFILES = "time,participant,load_kwh,pv_kwh\n" + "".join(
    f"2017-06-01T{hour}:00Z,{name},1,3\n" for hour in (12, 13) for name in ("ann", "bob")
)
PARTICIPANTS = "participant,bus\nann,house a\nbob,house b\n"
OPTIONS = [
    "--net",
    "net.json",
    "--trades",
    "trades.csv",
    "--profiles",
    "base.csv",
    "--participants",
    "people.csv",
]

Change = Callable[[Path], object]


def _net() -> pp.pandapowerNet:
    net = pp.create_empty_network()
    medium, low = pp.create_bus(net, 20.0), pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV")
    for name in ("house a", "house b"):
        pp.create_line(net, low, pp.create_bus(net, 0.4, name=name), 0.1, "NAYY 4x50 SE")
    return net


@pytest.fixture(scope="module")
def net_json() -> str:
    return str(pp.to_json(_net()))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, net_json: str) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.json").write_text(net_json)
    Path("trades.csv").write_text(HEAD + FIRST + SECOND)
    Path("base.csv").write_text(PROFILES)
    Path("people.csv").write_text(PARTICIPANTS)
    return tmp_path


def _trades(*rows: str, head: str = HEAD) -> Change:
    return lambda folder: (folder / "trades.csv").write_text(head + "".join(f"{row}\n" for row in rows))


def _write(file: str, text: str) -> Change:
    return lambda folder: (folder / file).write_text(text)


def _remove(file: str) -> Change:
    return lambda folder: (folder / file).unlink()


def _dark_house(folder: Path) -> None:
    net = _net()
    net.line.loc[0, "in_service"] = False
    pp.to_json(net, str(folder / "net.json"))


def _fill_out(folder: Path) -> None:
    (folder / "judged").mkdir()
    (folder / "judged" / "old.csv").write_text("kept")


CASES: dict[str, tuple[Change, list[str], tuple[str, ...]]] = {
    "unknown seller": (
        _trades("2017-06-01T12:00Z,zoe,bob,1,0.1"),
        [],
        ("column 'seller', row 2", "'zoe'", "ann"),
    ),
    "unknown buyer": (
        _trades(FIRST.strip(), "2017-06-01T12:00Z,ann,Grid,1,0.1"),
        [],
        ("'buyer', row 3", "'Grid'"),
    ),
    "negative energy": (_trades("2017-06-01T12:00Z,ann,bob,-1,0.1"), [], ("'energy_kwh', row 2", "-1")),
    "energy NaN": (_trades("2017-06-01T12:00Z,ann,bob,nan,0.1"), [], ("'energy_kwh', row 2",)),
    "energy missing": (_trades("2017-06-01T12:00Z,ann,bob,,0.1"), [], ("'energy_kwh', row 2", "nothing")),
    "energy infinite": (_trades("2017-06-01T12:00Z,ann,bob,inf,0.1"), [], ("'energy_kwh', row 2",)),
    "energy a word": (_trades("2017-06-01T12:00Z,ann,bob,much,0.1"), [], ("'energy_kwh', row 2", "'much'")),
    "a value in MWh-sized numbers": (
        _trades("2017-06-01T12:00Z,ann,bob,1500000,0.1"),
        [],
        ("'energy_kwh', row 2", "unit"),
    ),
    "energy in MWh": (
        _trades("2017-06-01T12:00Z,ann,bob,0.0000015,0.1", head=HEAD.replace("kwh,price", "mwh,price")),
        [],
        ("'energy_mwh'", "energy_kwh"),
    ),
    "energy that rounds to nothing": (_trades("2017-06-01T12:00Z,ann,bob,0.0001,0.1"), [], ("row 2", "unit")),
    "price per MWh in the wrong column": (
        _trades("2017-06-01T12:00Z,ann,bob,1,120"),
        [],
        ("'price_eur_per_kwh'", "unit"),
    ),
    "price far below zero": (_trades("2017-06-01T12:00Z,ann,bob,1,-11"), [], ("'price_eur_per_kwh', row 2",)),
    "seller equals buyer": (
        _trades("2017-06-01T12:00Z,ann,ann,1,0.1"),
        [],
        ("row 2", "other than the seller"),
    ),
    "before the profiles": (_trades("2017-06-01T11:00Z,ann,bob,1,0.1"), [], ("'time', row 2", "12:00:00")),
    "behind the profiles": (_trades("2018-06-01T12:00Z,ann,bob,1,0.1"), [], ("'time', row 2", "13:00:00")),
    "overlapping two intervals": (
        _trades("2017-06-01T12:30Z,ann,bob,1,0.1"),
        [],
        ("'time', row 2", "60-minute"),
    ),
    "time that is none": (_trades("noon,ann,bob,1,0.1"), [], ("'time', row 2", "'noon'")),
    "time missing": (_trades(",ann,bob,1,0.1"), [], ("'time', row 2",)),
    "with and without offset": (
        _trades(FIRST.strip(), "2017-06-01T13:00,ann,bob,1,0.1"),
        [],
        ("row 3", "offset"),
    ),
    "column twice": (
        _trades("2017-06-01T12:00Z,ann,bob,1,0.1,x,y", head=HEAD.strip() + ",note,note\n"),
        [],
        ("column 'note'", "column 6 and again in column 7"),
    ),
    "missing column": (
        _trades("2017-06-01T12:00Z,ann,1,0.1", head="time,seller,energy_kwh,price_eur_per_kwh\n"),
        [],
        ("'buyer'",),
    ),
    "no price": (
        _trades("2017-06-01T12:00Z,ann,bob,1", head="time,seller,buyer,energy_kwh\n"),
        [],
        ("price_eur_per_kwh",),
    ),
    "empty file": (_write("trades.csv", ""), [], ("trades.csv", "empty")),
    "header only": (_write("trades.csv", HEAD), [], ("at least one row",)),
    "ragged row": (_trades("2017-06-01T12:00Z,ann,bob,1,0.1,7,8"), [], ("trades.csv",)),
    "no trades file": (_remove("trades.csv"), [], ("trades.csv", "none")),
    "no net": (_remove("net.json"), [], ("net.json", "none")),
    "net that is no net": (_write("net.json", "{}"), [], ("net.json", "pandapower")),
    "house without supply": (_dark_house, [], ("'ann'", "supply")),
    "participant at an unknown bus": (
        _write("people.csv", PARTICIPANTS.replace("house b", "house c")),
        [],
        ("'bob'", "house c"),
    ),
    "participant listed twice": (
        _write("people.csv", PARTICIPANTS + "ann,house b\n"),
        [],
        ("row 4", "'ann'"),
    ),
    "participant without a bus": (_write("people.csv", "participant,bus\nann,house a\n"), [], ("'bob'",)),
    "participants of other columns": (
        _write("people.csv", "name,bus\nann,house a\n"),
        [],
        ("participant,bus",),
    ),
    "no participants file": (_remove("people.csv"), [], ("people.csv",)),
    "no profiles file": (_remove("base.csv"), [], ("base.csv", "none")),
    "negative load": (_write("base.csv", PROFILES.replace(",1,3", ",-1,3")), [], ("base.csv", "'load_kwh'")),
    "unknown rule": (lambda folder: None, ["--rule", "fairest"], ("fairest", "pro_rata")),
    "limits the wrong way round": (lambda folder: None, ["--min-vm-pu", "1.2"], ("min_vm_pu",)),
    "a limit that is none": (lambda folder: None, ["--max-loading-percent", "-5"], ("max_loading_percent",)),
    "unknown control of inverters": (
        lambda folder: None,
        ["--pv-control", "volt-var"],
        ("pv.control", "q_v"),
    ),
    "a power factor that is none": (
        lambda folder: None,
        ["--pv-control", "cos_phi", "--cos-phi", "1.2"],
        ("pv.cos_phi", "1.2"),
    ),
    "unknown time zone": (lambda folder: None, ["--timezone", "Mars/Base"], ("Mars/Base",)),
    "output that is taken": (_fill_out, ["--out", "judged"], ("judged", "empty")),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_bad_trades_end_with_one_message(folder: Path, name: str) -> None:
    change, options, expected = CASES[name]
    change(folder)
    before = sorted(path.name for path in folder.rglob("*"))
    arguments = ["validate", *OPTIONS, *(options if "--out" in options else [*options, "--out", "new"])]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 2, f"{name}: {run.output}"
    assert "Traceback" not in run.output
    assert run.output.startswith("gridsettle: ")
    for part in expected:
        assert part in run.output, f"{name}: expected '{part}' in: {run.output}"
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_the_files_themselves_are_good(folder: Path) -> None:
    run = CliRunner().invoke(app, ["validate", *OPTIONS, "--strict"])
    assert run.exit_code == 0, run.output
