"""Networks from strangers: nothing in a file is run or imported, no other file is read, messages name the place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandapower as pp
import pandapower.networks as pn
import pytest

from grid_models.errors import GridError
from grid_models.feeder.net_file import LEFT_OUT, MAX_BYTES, parse_net, read_net

NET = pp.to_json(pn.create_cigre_network_lv())
FRAME = {"_module": "pandas.core.frame", "_class": "DataFrame"}

OBJECTS: dict[str, Any] = {
    "a function": {"_module": "os", "_class": "function", "_object": "system"},
    "a class": {"_module": "subprocess", "_class": "Popen", "_object": ["touch", "RUN"]},
    "a module beside the folder": {"_module": "trap", "_class": "Trap", "_object": "1"},
    "pandapower's function": {"_module": "pandapower", "_class": "function", "_object": "to_pickle"},
    "an alias of pandas": {"_module": "pandas.io.pickle", "_class": "function", "_object": "read_pickle"},
    "a pickle in numpy": {"_module": "numpy", "_class": "load", "_object": "evil.npy"},
    "a method": {"_module": "trap", "_class": "method", "_object": "run"},
    "without a class": {"_module": "trap"},
    "a class alone": {"_class": "Trap", "_object": "1"},
    "exec": {"_module": "builtins", "_class": "exec", "_object": "open('RUN', 'w')"},
    "eval": {"_module": "builtins", "_class": "eval", "_object": "open('RUN', 'w')"},
    "a file as table": {**FRAME, "_object": "/etc/passwd.json"},
    "a table by address": {**FRAME, "_object": "http://127.0.0.1:9/net.json"},
}
"""Objects that a decoder might make, call or fetch."""

SPELLINGS: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda value: value,
    "as text": json.dumps,
    "in a list": lambda value: [1, [value]],
    "in an array": lambda value: {"_module": "numpy", "_class": "array", "_object": [value]},
    "in a tuple": lambda value: {"_module": "builtins", "_class": "tuple", "_object": [[value]]},
    "as text in a list": lambda value: [json.dumps(value)],
    "twice as text": lambda value: json.dumps([json.dumps(value)]),
}


def tables(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name, encoded frame and content of every table that has rows."""
    for name, value in document["_object"].items():
        if isinstance(value, dict) and value.get("_class") == "DataFrame":
            content = json.loads(value["_object"])
            if content["data"]:
                yield name, value, content


def hidden(place: str, spelled: Any) -> list[str]:
    """Documents with something hidden at every column of every table, in an index, or beside the tables."""
    found = []
    if place == "cell":
        names = [
            (name, column) for name, _, content in tables(json.loads(NET)) for column in range(len(content["columns"]))
        ]
        for name, column in names:
            document = json.loads(NET)
            value = document["_object"][name]
            content = json.loads(value["_object"])
            content["data"][0][column] = spelled
            value["_object"] = json.dumps(content)
            found.append(json.dumps(document))
        return found
    document = json.loads(NET)
    if place == "index":
        for name, value, content in tables(document):
            content["index"][0] = spelled
            changed = json.loads(NET)
            changed["_object"][name] = {**value, "_object": json.dumps(content)}
            found.append(json.dumps(changed))
        return found
    if place == "beside":
        document["_object"]["extra"] = spelled
    elif place == "std_types":
        document["_object"]["std_types"]["line"]["x"] = spelled
    elif place == "empty table":
        content = {"columns": ["object"], "index": [0], "data": [[spelled]]}
        document["_object"]["characteristic"] = {**FRAME, "orient": "split", "_object": json.dumps(content)}
    elif place == "dtype":
        document["_object"]["bus"]["dtype"]["name"] = spelled
    elif place == "frame key":
        document["_object"]["bus"]["compression"] = spelled
    return [json.dumps(document)]


PLACES = (
    pytest.param("cell", marks=pytest.mark.slow),
    "index",
    "beside",
    "std_types",
    "empty table",
    "dtype",
    "frame key",
)


@pytest.fixture
def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a trap module, on the path; fails if anything was imported, run or made."""
    (tmp_path / "trap.py").write_text("open('RUN', 'w').close()\nclass Trap:\n    pass\ndef run():\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    opened: list[str] = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *a, **k: opened.append(str(path)) or real(path, *a, **k))
    before = set(sys.modules)
    yield tmp_path
    assert sorted(p.name for p in tmp_path.iterdir()) == ["trap.py"]
    assert "trap" not in set(sys.modules) - before
    assert not [path for path in opened if "passwd" in path]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("place", PLACES)
def test_no_object_gets_in(place: str, spelling: str, guarded: Path) -> None:
    """Every object in the first cell of the bus table, and one object in every column of every table."""
    first = True
    for name, value in OBJECTS.items():
        spelled = SPELLINGS[spelling](value)
        for text in hidden(place, spelled)[: None if first else 3]:
            with pytest.raises(GridError) as refused:
                parse_net(text, name)
            assert "\n" not in str(refused.value)
            assert len(str(refused.value)) < 500
        first = False


@pytest.mark.parametrize("spelling", ["\\u005fmodule", "_\\u006dodule"])
def test_escaped_keys_are_the_keys_they_spell(spelling: str, guarded: Path) -> None:
    (text,) = hidden("empty table", OBJECTS["a function"])
    with pytest.raises(GridError, match="characteristic: expected numbers, words and lists"):
        parse_net(text.replace("_module", spelling), "net")


def test_controllers_of_pandapower_are_left_out_and_said() -> None:
    net = pn.example_simple()
    pp.control.ContinuousTapControl(net, element_index=0, vm_set_pu=1.0)
    read = parse_net(pp.to_json(net), "net")
    assert len(read.controller) == 0
    assert read[LEFT_OUT] == (
        "1 rows of the net's table 'controller' are left out: objects stored in a net are never run; tap positions and "
        "setpoints stay as they are",
    )


@pytest.mark.slow
@pytest.mark.parametrize("make", [pn.create_cigre_network_lv, pn.example_multivoltage, pn.case33bw, pn.example_simple])
def test_sound_nets_are_read_as_pandapower_reads_them(make: Callable[[], Any]) -> None:
    text = pp.to_json(make())
    expected, read = pp.from_json_string(text, convert=True), parse_net(text, "net")
    assert set(read) - {LEFT_OUT} == set(expected)
    for name, table in expected.items():
        if hasattr(table, "columns") and not name.startswith("_"):
            assert table.equals(read[name]), name


def _nested(depth: int) -> str:
    return "[" * depth + "]" * depth


BAD: dict[str, tuple[str, str]] = {
    "not JSON": ("{", "expected a net written by pandapower.to_json, got JSONDecodeError"),
    "a list": ("[]", "pandapower.to_json, got a list"),
    "a word": ('"net"', "pandapower.to_json, got a word"),
    "another object": (
        '{"_module": "os", "_class": "function", "_object": "getcwd"}',
        "an object of os.function",
    ),
    "deeply nested": (_nested(200_000), "got RecursionError"),
    "deep inside": (f'{{"bus": {_nested(60)}}}', "nested at most 32 deep"),
    "a huge number": ("1" * 5000, "got ValueError"),
    "no bus": (
        '{"_module": "pandapower.auxiliary", "_class": "pandapowerNet", "_object": {}}',
        "got none with a table 'bus'",
    ),
    "bus is a word": ('{"bus": "x"}', "expected"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_net_is_one_message(name: str) -> None:
    text, message = BAD[name]
    with pytest.raises(GridError, match=message) as refused:
        parse_net(text, "feeder.json")
    assert str(refused.value).startswith("feeder.json")
    assert len(str(refused.value)) < 400


CELLS: dict[str, tuple[str, str, Any, str]] = {
    "a word for a voltage": (
        "bus",
        "vn_kv",
        "0.4 kV",
        "bus, row 0, column vn_kv: expected a number, got '0.4 kV'",
    ),
    "a word for a flag": (
        "line",
        "in_service",
        "yes",
        "line, row 0, column in_service: expected true or false, got 'yes'",
    ),
    "two for a flag": ("bus", "in_service", 2, "column in_service: expected true or false, got 2"),
    "nothing for a bus": ("load", "bus", None, "load, row 0, column bus: expected a number, got nothing"),
    "a list for a length": (
        "line",
        "length_km",
        [1, 2],
        r"column length_km: expected a number, got \[1, 2\]",
    ),
}


@pytest.mark.parametrize("name", CELLS)
def test_cells_of_the_wrong_kind_are_named(name: str) -> None:
    table, column, cell, message = CELLS[name]
    net = pn.create_cigre_network_lv()
    net[table][column] = net[table][column].astype(object)
    net[table].at[0, column] = cell
    with pytest.raises(GridError, match=message):
        parse_net(pp.to_json(net), "net")


@pytest.mark.slow
def test_flags_and_numbers_stored_as_objects_are_taken_for_what_they_are() -> None:
    net = pn.create_cigre_network_lv()
    for table in ("line", "trafo", "bus", "load"):
        net[table]["in_service"] = net[table]["in_service"].astype(object)
    net.line["length_km"] = net.line["length_km"].astype(object)
    read = parse_net(pp.to_json(net), "net")
    assert read.line.in_service.dtype == bool
    assert read.line.length_km.dtype == float
    pp.runpp(read)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_folders_and_large_files_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    begin = time.monotonic()
    for name, message in (
        ("pipe.json", "a regular file"),
        ("large.json", "expected at most"),
        ("none.json", "found none"),
        (".", "a regular file"),
    ):
        with pytest.raises(GridError, match=message):
            read_net(tmp_path / name)
    assert time.monotonic() - begin < 5  # a pipe would block for ever


COMMANDS = {
    "validate": "validate --net feeder.json --trades trades.csv",
    "run": "run mine.toml --out out",
    "hosting": "hosting mine.toml",
    "scenario check": "scenario check mine.toml",
}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_refuse_a_hostile_network(command: str, tmp_path: Path) -> None:
    (text,) = hidden("empty table", OBJECTS["a module beside the folder"])
    (tmp_path / "feeder.json").write_text(text)
    (tmp_path / "trap.py").write_text("open('RUN', 'w').close()\n")
    (tmp_path / "trades.csv").write_text("time,seller,buyer,energy_kwh\n2017-06-01T12:00Z,a,b,1\n")
    (tmp_path / "p.csv").write_text("participant,bus\nhouse_01,1\n")
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\n[houses]\nn_houses = 1\nn_prosumers = 1\n'
        '[network]\nsource = "file"\nfile = "feeder.json"\nparticipants = "p.csv"\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "cosim.cli.app", *COMMANDS[command].split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    said = done.stderr.replace("running scenario 'mine'\n", "")
    assert said.count("\n") == 1
    assert "characteristic: expected numbers, words and lists, got an object of trap.Trap" in said
    assert not (tmp_path / "RUN").exists()
    assert not (tmp_path / "out").exists()
