"""Bad input: exit code 2, one clear message that says where, and nothing half-written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandapower as pp
import pytest
from typer.testing import CliRunner

from cosim.cli.app import app

PROFILES = "time,participant,load_wh,pv_wh,price_eur_per_kwh\n" + "".join(
    f"2017-01-01T{hour:02d}:00:00Z,{name},500,{100 * hour},0.2\n" for hour in range(6) for name in ("ann", "bob")
)
SCENARIO = """
[horizon]
start = 2017-01-01T00:00:00Z
hours = 6
[profiles]
source = "table"
file = "profiles.csv"
[network]
source = "file"
file = "net.json"
participants = "participants.csv"
"""
PARTICIPANTS = "participant,bus\nann,house a\nbob,house b\n"


def _net() -> pp.pandapowerNet:
    net = pp.create_empty_network()
    medium, low = pp.create_bus(net, 20.0, name="mv"), pp.create_bus(net, 0.4, name="lv")
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV")
    for name in ("house a", "house b"):
        bus = pp.create_bus(net, 0.4, name=name)
        pp.create_line(net, low, bus, 0.1, "NAYY 4x50 SE")
    return net


def _set_up(folder: Path) -> None:
    pp.to_json(_net(), str(folder / "net.json"))
    (folder / "profiles.csv").write_text(PROFILES)
    (folder / "participants.csv").write_text(PARTICIPANTS)
    (folder / "s.toml").write_text(SCENARIO)


def _replace(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = (folder / file).read_text()
        assert old in content
        (folder / file).write_text(content.replace(old, new))

    return change


def _net_with(change: Callable[[pp.pandapowerNet], object]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        net = _net()
        change(net)
        pp.to_json(net, str(folder / "net.json"))

    return write


def _remove(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


def _append(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "s.toml").write_text(SCENARIO + text)


def _second_bus_named_alike(net: pp.pandapowerNet) -> None:
    pp.create_bus(net, 0.4, name="house a")


def _cut_off(net: pp.pandapowerNet) -> None:
    net.line.loc[net.line.index[1], "in_service"] = False


CASES: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "scenario file missing": (_remove("s.toml"), ("s.toml", "readable TOML file")),
    "not TOML": (_append("\n= 3"), ("s.toml", "expected TOML")),
    "unknown key": (_append("[market]\nbetta = 0.5"), ("market.betta", "did you mean 'beta'")),
    "unknown section": (_append("[markets]"), ("markets", "did you mean 'market'")),
    "wrong type": (_append("[market]\nfeed_in = 'maybe'"), ("market.feed_in", "got 'maybe'")),
    "value out of range": (_append("[market]\nbeta = 1.5"), ("market.beta", "got 1.5")),
    "unknown mechanism": (
        _append("[market]\nmechanism = 'trade'"),
        ("mechanism", "trading_battery", "'trade'"),
    ),
    "envelopes and reactive control": (
        _append("[market]\nnetwork = 'envelope'\n[pv]\ncontrol = 'q_v'"),
        ("pv.control", "expected none", "envelope"),
    ),
    "envelopes and facts": (
        _append("[market]\nnetwork = 'envelope'\n[ledger]\nfacts = true"),
        ("ledger.facts", "expected false", "got true"),
    ),
    "a rule of envelopes without any": (
        _append("[market]\nenvelope_rule = 'equal'"),
        ("market.envelope_rule", "envelope"),
    ),
    "unknown rule": (_append("[curtailment]\nrule = 'fair'"), ("curtailment.rule", "'fair'")),
    "negative capacity": (
        _append("[battery]\ncapacity_kwh_min = -1.0"),
        ("battery.capacity_kwh_min", "-1.0"),
    ),
    "empty window of charge": (
        _append("[battery]\nsoc_min = 0.9\nsoc_max = 0.1"),
        ("battery", "soc_min is above"),
    ),
    "limits upside down": (
        _append("[limits]\nmin_vm_pu = 1.2\nmax_vm_pu = 1.1"),
        ("limits", "min_vm_pu is not below max_vm_pu"),
    ),
    "zero hours": (_replace("s.toml", "hours = 6", "hours = 0"), ("horizon.hours", "got 0")),
    "odd interval": (
        _replace("s.toml", "hours = 6", "hours = 6\ninterval_minutes = 7"),
        ("interval_minutes", "7"),
    ),
    "profiles missing": (_remove("profiles.csv"), ("profiles.csv",)),
    "wrong column": (_replace("profiles.csv", "load_wh", "laod_wh"), ("profiles.csv", "laod_wh")),
    "NaN": (_replace("profiles.csv", "ann,500,100", "ann,nan,100"), ("profiles.csv", "load_wh")),
    "negative energy": (_replace("profiles.csv", "ann,500,100", "ann,-5,100"), ("profiles.csv", "-5")),
    "profile too short": (
        _replace("s.toml", "hours = 6", "hours = 48"),
        ("horizon", "48 h", "change horizon"),
    ),
    "profile starts later": (_replace("s.toml", "2017-01-01T00", "2016-01-01T00"), ("horizon", "2016-01-01")),
    "start off the grid": (_replace("s.toml", "T00:00:00Z\nhours", "T00:20:00Z\nhours"), ("horizon.start",)),
    "net missing": (_remove("net.json"), ("net.json", "found none")),
    "net not JSON": (lambda folder: (folder / "net.json").write_text("{"), ("net.json",)),
    "empty net": (
        lambda folder: pp.to_json(pp.create_empty_network(), str(folder / "net.json")),
        ("net.json",),
    ),
    "no external grid": (_net_with(lambda net: net.ext_grid.drop(0, inplace=True)), ("external grid",)),
    "participant at an unknown bus": (_replace("participants.csv", "house b", "house c"), ("bob", "house c")),
    "bus index out of range": (_replace("participants.csv", "house b", "77"), ("bob", "77")),
    "non-integer bus": (_replace("participants.csv", "house b", "1.5"), ("bob", "1.5")),
    "bus twice": (_replace("participants.csv", "house b", "house a"), ("bob", "shared_bus")),
    "bus name ambiguous": (_net_with(_second_bus_named_alike), ("house a",)),
    "disconnected bus": (_net_with(_cut_off), ("bob",)),
    "participant twice": (_replace("participants.csv", "bob", "ann"), ("participant",)),
    "participant without bus": (_replace("participants.csv", "bob,house b\n", ""), ("bob",)),
    "participant without profile": (
        lambda folder: (folder / "participants.csv").write_text(PARTICIPANTS + "eve,lv\n"),
        ("eve",),
    ),
    "wrong columns of participants": (
        _replace("participants.csv", "participant,bus", "name,bus"),
        ("participant,bus",),
    ),
    "a phase that is none": (
        lambda folder: (folder / "participants.csv").write_text(
            "participant,bus,phase\nann,house a,a\nbob,house b,d\n"
        ),
        ("participants.csv, column 'phase', row 3: expected a phase: a, b, c or abc", "got 'd'"),
    ),
    "two phases of three": (
        lambda folder: (folder / "participants.csv").write_text(
            "participant,bus,phase_pv\nann,house a,ab\nbob,house b,\n"
        ),
        ("column 'phase_pv', row 2", "got 'ab'"),
    ),
    "a vehicle's phase": (
        lambda folder: (folder / "participants.csv").write_text(
            "participant,bus,phase_ev\nann,house a,a\nbob,house b,b\n"
        ),
        ("column 'phase_ev'", "no electric vehicles"),
    ),
    "houses of an own network that are drawn": (
        _replace(
            "s.toml",
            'source = "file"\nfile = "net',
            'model = "three_phase"\nphases = "worst"\nsource = "file"\nfile = "net',
        ),
        ("network.phases: expected its default drawn", "the table of participants names phases"),
    ),
    "ratios without phases": (
        _replace(
            "s.toml",
            'source = "file"\nfile = "net',
            'zero_sequence = {r0_over_r1 = 4, x0_over_x1 = 4, c0_over_c1 = 1}\nsource = "file"\nfile = "net',
        ),
        ("network.zero_sequence: expected its default", 'network.model = "three_phase"'),
    ),
    "half of the ratios": (
        _replace(
            "s.toml",
            'source = "file"\nfile = "net',
            'model = "three_phase"\nzero_sequence = {r0_over_r1 = 4}\nsource = "file"\nfile = "net',
        ),
        ("network.zero_sequence: expected the keys r0_over_r1, x0_over_x1, c0_over_c1, got r0_over_r1",),
    ),
    "participants missing": (_remove("participants.csv"), ("participants.csv",)),
    "line rating of an unknown line": (
        _replace("s.toml", 'source = "file"', 'source = "file"\nline_ratings_ka = {"line x" = 0.2}'),
        ("line x",),
    ),
}


def test_the_unchanged_set_up_runs(tmp_path: Path) -> None:
    _set_up(tmp_path)
    result = CliRunner().invoke(app, ["run", str(tmp_path / "s.toml"), "--out", str(tmp_path / "out"), "--quiet"])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", CASES)
def test_bad_input_ends_with_one_clear_message(name: str, tmp_path: Path) -> None:
    change, expected = CASES[name]
    _set_up(tmp_path)
    change(tmp_path)
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["run", str(tmp_path / "s.toml"), "--out", str(out), "--quiet"])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert result.stderr.startswith("gridsettle: ")
    for part in expected:
        assert part in result.stderr, (part, result.stderr)
    assert not (out / "ledger.sqlite").exists()
    assert not (out / "summary.json").exists()


def test_a_run_never_overwrites_another(tmp_path: Path) -> None:
    _set_up(tmp_path)
    arguments = ["run", str(tmp_path / "s.toml"), "--out", str(tmp_path / "out"), "--quiet"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    before = (tmp_path / "out" / "summary.json").read_bytes()
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2
    assert "--resume" in again.stderr
    assert (tmp_path / "out" / "summary.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "defalt"], "did you mean 'default'"),
        (["run", "default", "--seed", "-1"], "--seed"),
        (["run", "default", "--until", "2016-01-01"], "--until"),
        (
            ["run", "default", "--until", "2017-01-01T06:30"],
            "--until: expected the begin of a 60-minute interval counted from 2017-01-01 00:00, got 2017-01-01 06:30",
        ),
        (["run", "default", "--resume", "--out", "nowhere"], "nowhere"),
        (["scenario", "show", "nothing"], "nothing"),
        (["scenario", "check", "nothing.toml"], "nothing.toml"),
        (["ledger", "verify", "nowhere"], "nowhere"),
        (["ledger", "show", "nowhere"], "nowhere"),
        (["study", "reference", "--spain", "nowhere.csv", "--seeds", "1"], "nowhere.csv"),
    ],
)
def test_bad_arguments_end_with_one_clear_message(
    arguments: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output
    assert expected in result.stderr
    assert "Traceback" not in result.output
