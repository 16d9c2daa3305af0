"""Fuzz cases: sound input of every kind, one mutation, one command in this process; each case is one line of JSON.

    python tests/faults/fuzzing.py make FOLDER             makes the sound input
    python tests/faults/fuzzing.py run FOLDER SEED N K M   runs the cases N, N + M, N + 2 M … below K of a seed

Case n of a seed is always the same. A case that takes too long ends the process, and its trace says where it was.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import os
import re
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandapower as pp
import pandas as pd
from mutations import (
    NUMBERS,
    WORDS,
    Rng,
    change_bytes,
    change_database,
    change_frame,
    change_json,
    change_text,
    pick,
    replace_file,
)

from cosim import Scenario, run
from cosim.cli.app import app
from cosim.cli.entry import main
from cosim.scenario.files import format_toml
from cosim.scenario.model import Scenario as ScenarioModel

LONGEST = 30.0
"""Seconds that a case may take."""

TABLE = """
name = "table"
[horizon]
start = 2017-06-01T00:00:00Z
hours = 6
[profiles]
source = "table"
file = "profiles.csv"
[network]
source = "file"
file = "net.json"
participants = "participants.csv"
[market]
feed_in = true
"""
SMALL: dict[str, Any] = {
    "horizon": {"hours": 6, "start": "2017-06-01T08:00:00Z"},
    "houses": {"n_houses": 4, "n_prosumers": 2},
    "network": {"n_branches": 1},
    "engine": {"verify_sample": 1},
}
OUTAGE = [{"kind": "outage", "start": "2017-06-01T10:00:00Z", "hours": 2, "grid": True}]


def make_input(folder: Path) -> None:
    """Sound input of every kind."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    net = pp.create_empty_network()
    medium, low = pp.create_bus(net, 20.0, name="mv"), pp.create_bus(net, 0.4, name="lv")
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV")
    for name in ("ann", "bob", "eve"):
        bus = pp.create_bus(net, 0.4, name=f"at {name}")
        pp.create_line(net, low, bus, 0.1, "NAYY 4x50 SE")
        pp.create_load(net, bus, 0.001, name=name)
    pp.to_json(net, "net.json")
    names, hours = ("ann", "bob", "eve"), range(6)
    rows = [(f"2017-06-01T{h:02d}:00:00Z", name, 500 + h, 300 * h, 0.2) for h in hours for name in names]
    profiles = pd.DataFrame(rows, columns=["time", "participant", "load_wh", "pv_wh", "price_eur_per_kwh"])
    profiles.to_csv("profiles.csv", index=False)
    profiles.to_parquet("profiles.parquet")
    trades = pd.DataFrame(
        [(f"2017-06-01T{h:02d}:00:00Z", "ann", ("bob", "eve")[h % 2], 1.0 + h, 0.2) for h in range(3)],
        columns=["time", "seller", "buyer", "energy_kwh", "price_eur_per_kwh"],
    )
    trades.to_csv("trades.csv", index=False)
    trades.to_parquet("trades.parquet")
    Path("participants.csv").write_text("participant,bus\n" + "".join(f"{name},at {name}\n" for name in names))
    Path("table.toml").write_text(TABLE)
    Path("parquet.toml").write_text(TABLE.replace("profiles.csv", "profiles.parquet"))
    small = Scenario().with_changes(**SMALL)
    Path("small.toml").write_text(format_toml(small))
    Path("outage.toml").write_text(format_toml(small.with_changes(events=OUTAGE)))
    Path("spain.toml").write_text(
        "[horizon]\nstart = 2014-12-31T23:00:00Z\nhours = 24\n[houses]\nn_houses = 3\nn_prosumers = 1\n"
        '[profiles]\nsource = "spain"\nfile = "energy.csv"\n[network]\nn_branches = 1\n'
    )
    times = pd.date_range("2015-01-01", periods=48, freq="h", tz="Europe/Madrid")
    pd.DataFrame(
        {
            "time": [f"{t:%Y-%m-%d %H:%M:%S}+01:00" for t in times],
            "generation solar": np.maximum(0, 4000 * np.sin((times.hour - 6) / 12 * np.pi)).round(),
            "total load actual": 25_000 + 100 * times.hour,
            "price actual": 50.0 + times.hour,
        }
    ).to_csv("energy.csv", index=False)
    _call("ledger", "init", "keys", "--members", "4")
    keys = {"operator_key": Path("keys/operator.key"), "member_keys": Path("keys")}
    run(small.with_changes(events=OUTAGE), "run")
    run(small, "other")
    run(small.with_changes(ledger={"private": True, **keys}), "private")
    _call("ledger", "prove", "run", "2", "1", "--out", "receipt.json")
    line = _call("ledger", "members", "run", "--json")
    Path("log.vkey").write_text(next(json.loads(row)["log"] for row in line.splitlines() if '"log"' in row) + "\n")
    shutil.copy("run.checkpoint", "kept.checkpoint")


def _call(*arguments: str) -> str:
    """What a command prints; it must succeed."""
    code, out, said = call(arguments)
    assert code == 0, said
    return out


def call(arguments: tuple[str, ...]) -> tuple[int, str, str]:
    """Exit code and output of the command line."""
    out, said = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["gridsettle", *arguments]
    code: Any = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("error")
            main(app)
    except SystemExit as end:
        code = end.code
    except BaseException:
        code = -1
        said.write(traceback.format_exc())
    finally:
        sys.argv = before
    return (code if isinstance(code, int) else 0 if code is None else 1), out.getvalue(), said.getvalue()


class Kind(NamedTuple):
    """A kind of input: files that a case gets, the one that is changed, how, and commands that read it."""

    needs: tuple[str, ...]
    target: str
    change: str
    commands: tuple[tuple[str, ...], ...]


def _ledger(*more: str) -> tuple[tuple[str, ...], ...]:
    return (
        ("ledger", "verify", "run"),
        ("ledger", "verify", "run", "--key", "log.vkey", "--checkpoint", "kept.checkpoint"),
        ("ledger", "show", "run", "3"),
        ("ledger", "members", "run"),
        ("ledger", "account", "run", "1"),
        ("ledger", "export", "run", "out.jsonl"),
        ("ledger", "export", "run", "tables"),
        ("ledger", "prove", "run", "1", "0"),
        ("ledger", "audit", "run", "--sample", "2"),
        *((word,) for word in more),
    )


VALIDATE = ("validate", "--net", "net.json", "--trades")
KINDS: dict[str, Kind] = {
    "scenario": Kind(("outage.toml",), "outage.toml", "text", (("scenario", "check", "outage.toml"),)),
    "scenario run": Kind(("small.toml",), "small.toml", "text", (("run", "small.toml", "--out", "o", "--no-report"),)),
    "own scenario": Kind(
        ("table.toml", "profiles.csv", "net.json", "participants.csv"),
        "table.toml",
        "text",
        (("scenario", "check", "table.toml"), ("hosting", "table.toml", "--intervals", "2")),
    ),
    "profiles": Kind(
        ("table.toml", "profiles.csv", "net.json", "participants.csv"),
        "profiles.csv",
        "text",
        (("scenario", "check", "table.toml"), (*VALIDATE, "profiles.csv")),
    ),
    "profiles, Parquet": Kind(
        ("parquet.toml", "profiles.parquet", "net.json", "participants.csv"),
        "profiles.parquet",
        "frame",
        (("scenario", "check", "parquet.toml"),),
    ),
    "participants": Kind(
        ("table.toml", "profiles.csv", "net.json", "participants.csv", "trades.csv"),
        "participants.csv",
        "text",
        (("scenario", "check", "table.toml"), (*VALIDATE, "trades.csv", "--participants", "participants.csv")),
    ),
    "energy of Spain": Kind(("spain.toml", "energy.csv"), "energy.csv", "text", (("scenario", "check", "spain.toml"),)),
    "network": Kind(
        ("table.toml", "profiles.csv", "net.json", "participants.csv", "trades.csv"),
        "net.json",
        "json",
        (
            ("scenario", "check", "table.toml"),
            (*VALIDATE, "trades.csv"),
            (*VALIDATE, "trades.csv", "--keep-elements", "--out", "judged"),
        ),
    ),
    "trades": Kind(
        ("net.json", "trades.csv"),
        "trades.csv",
        "text",
        ((*VALIDATE, "trades.csv"), (*VALIDATE, "trades.csv", "--json")),
    ),
    "trades, Parquet": Kind(
        ("net.json", "trades.parquet"), "trades.parquet", "frame", ((*VALIDATE, "trades.parquet"),)
    ),
    "receipt": Kind(
        ("receipt.json", "log.vkey"),
        "receipt.json",
        "json",
        (("ledger", "verify-receipt", "receipt.json", "--key", "log.vkey"),),
    ),
    "checkpoint": Kind(
        ("run", "kept.checkpoint", "keys", "log.vkey"),
        "kept.checkpoint",
        "text",
        (
            ("ledger", "verify", "run", "--checkpoint", "kept.checkpoint"),
            (
                *("ledger", "cosign", "kept.checkpoint", "--key", "keys/member-000.key", "--name", "w"),
                *("--log", "log.vkey", "--ledger", "run"),
            ),
        ),
    ),
    "key": Kind(
        ("receipt.json", "log.vkey", "run"),
        "log.vkey",
        "text",
        (
            ("ledger", "verify-receipt", "receipt.json", "--key", "log.vkey"),
            ("ledger", "verify", "run", "--witness", "log.vkey"),
        ),
    ),
    "private key": Kind(
        ("private", "keys"),
        "keys/member-001.key",
        "text",
        (
            ("ledger", "account", "private", "1", "--key", "keys/member-001.key"),
            ("ledger", "grant", "private", "1", "2", "--key", "keys/member-001.key"),
        ),
    ),
    "public key": Kind(
        ("run", "keys"), "keys/operator.pub", "text", (("ledger", "verify", "run", "--key", "keys/operator.pub"),)
    ),
    "ledger": Kind(("run", "log.vkey", "kept.checkpoint"), "run/ledger.sqlite", "database", _ledger()),
    "member store": Kind(
        ("private", "keys"),
        "private/vaults/1.sqlite",
        "database",
        (("ledger", "account", "private", "1", "--key", "keys/member-001.key"),),
    ),
    "run directory": Kind(
        ("run", "other", "outage.toml"),
        "run",
        "directory",
        (
            ("report", "run"),
            ("compare", "other", "run"),
            ("ledger", "audit", "run", "--sample", "1"),
            ("ledger", "audit", "run", "--rerun"),
            ("run", "outage.toml", "--out", "run", "--resume", "--no-report"),
        ),
    ),
    "command line": Kind(
        (
            *("small.toml", "outage.toml", "table.toml", "profiles.csv", "net.json", "participants.csv", "trades.csv"),
            *("run", "other", "private", "keys", "receipt.json", "log.vkey", "kept.checkpoint"),
        ),
        "",
        "arguments",
        (),
    ),
}
PLACES = (
    *("small.toml", "table.toml", "net.json", "trades.csv", "profiles.csv", "receipt.json", "log.vkey"),
    *("run", "private", "keys", "keys/operator.key", "keys/operator.pub", "new", "."),
)
SANE: dict[str, tuple[str, ...]] = {
    "directory": ("run", "private"),
    "directories": ("run", "other"),
    "ledger": ("run",),
    "scenario": ("small.toml", "outage.toml", "table.toml"),
    "scenarios": ("small.toml", "outage.toml"),
    "like": ("small.toml",),
    "net": ("net.json",),
    "trades": ("trades.csv",),
    "participants": ("participants.csv",),
    "profiles": ("profiles.csv",),
    "receipt": ("receipt.json",),
    "checkpoint": ("kept.checkpoint",),
    "log": ("log.vkey",),
    "witness": ("log.vkey",),
    "key": ("keys/member-001.key", "log.vkey", "keys/operator.pub"),
    "new_key": ("keys/member-002.key",),
    "operator_key": ("keys/operator.key",),
    "open_with": ("keys/operator.key",),
    "out": ("new", "new.jsonl", "new.csv"),
    "file": ("new.toml",),
    "folder": ("new",),
    "kind": ("pv", "battery"),
    "role": ("participant", "auditor"),
    "rule": ("lifo", "reject", "pro_rata", "max_min"),
    "pv_control": ("q_v", "cos_phi"),
    "timezone": ("Europe/Madrid",),
    "until": ("2017-06-01T11:00",),
    "name": ("witness.example",),
    "interval_minutes": ("15", "60"),
}
"""Values of parameters that make sense; of others a small number does."""
NEVER = {"--install-completion", "--show-completion", "--scheduler", "--pdf", "--passphrase"}


def list_commands() -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    """All commands with their parameters."""
    from typer.main import get_command

    group = get_command(app)
    for name, command in sorted(group.commands.items()):  # type: ignore[attr-defined]
        for below, inner in sorted(getattr(command, "commands", {}).items()):
            yield (name, below), inner.params
        if not hasattr(command, "commands"):
            yield (name,), command.params


def draw_arguments(rng: Rng) -> tuple[str, ...]:
    """A command with some of its parameters, sane or not."""
    path, params = pick(rng, list(list_commands()))
    found = list(path)
    for param in params:
        options = [word for word in param.opts if word.startswith("-")]
        wanted = not options or param.required or rng.random() < 0.25
        if not wanted or NEVER & set(param.opts):
            continue
        sane = SANE.get(param.name, ("0", "1", "2", "3"))
        odd = (*PLACES, *PLACES, *("1", "2", "24"), *NUMBERS, *WORDS)
        word = str(pick(rng, sane if rng.random() < 0.85 else odd)).replace("\0", "")
        found += ([options[-1]] if options else []) + ([] if getattr(param, "is_flag", False) else [word])
    if path[0] == "study":
        found += ["--hours", "2", "--workers", "1"] if path[1] != "outage" else ["--workers", "1"]
        found += ["--seeds", "1"] if path[1] != "microgrids" else []
    if rng.random() < 0.1:
        found.insert(int(rng.integers(len(found) + 1)), str(pick(rng, WORDS)).replace("\0", ""))
    return tuple(word.encode("utf-8", "replace").decode() for word in found)


def mutate(rng: Rng, kind: Kind) -> str:
    """Change a case's target; returns how."""
    path = Path(kind.target)
    if kind.change == "directory":
        path = pick(rng, sorted(entry for entry in path.iterdir() if entry.suffix not in (".lock", ".sqlite")))
        if rng.random() < 0.3:
            shutil.copy(Path("other") / path.name, path) if (Path("other") / path.name).exists() else path.unlink()
            return f"{path} of another run"
        if rng.random() < 0.3:
            _forget_hashes()
    if rng.random() < 0.12:
        return f"{path}: {replace_file(rng, path)}"
    content = path.read_bytes()
    how = kind.change if kind.change != "directory" else _choose_change(path)
    if how == "database" and rng.random() < 0.7:
        return f"{path}: {change_database(rng, path)}"
    if how == "frame" and rng.random() < 0.7:
        change_frame(rng, pd.read_parquet(path)).to_parquet(path)
    elif how == "json" and rng.random() < 0.6:
        path.write_text(change_json(rng, content.decode()), encoding="utf-8")
    elif how in ("json", "text") and rng.random() < 0.75:
        path.write_text(change_text(rng, content.decode()), encoding="utf-8", errors="surrogatepass")
    else:
        path.write_bytes(change_bytes(rng, content))
        how = "bytes"
    return f"{path}: {how}"


def _choose_change(path: Path) -> str:
    return {".parquet": "frame", ".json": "json"}.get(path.suffix, "text")


def _forget_hashes() -> None:
    manifest = json.loads(Path("run/manifest.json").read_text())
    manifest.pop("files", None)
    Path("run/manifest.json").write_text(json.dumps(manifest))


def set_up(folder: Path, kind: Kind) -> None:
    """Files of a case in the working folder."""
    for name in kind.needs:
        source = folder / name
        shutil.copytree(source, name) if source.is_dir() else shutil.copy(source, name)
        beside = folder / f"{name}.checkpoint"
        if beside.exists():
            shutil.copy(beside, beside.name)


def run_case(folder: Path, seed: int, n: int) -> dict[str, Any]:
    """Run case n in a folder of its own."""
    rng = np.random.default_rng([seed, n])
    name = list(KINDS)[n % len(KINDS)]
    kind = KINDS[name]
    place = folder / "cases" / f"{seed}-{n}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    os.chdir(place)
    set_up(folder, kind)
    if kind.change == "arguments":
        arguments, how = draw_arguments(rng), ""
    else:
        arguments = pick(rng, kind.commands)
        try:
            how = mutate(rng, kind)
        except Exception as reason:  # such as a table that Parquet cannot hold
            how = f"not changed: {type(reason).__name__}"
    print(json.dumps({"n": n, "kind": name, "how": how, "arguments": arguments}), flush=True)
    begin = time.monotonic()
    code, out, said = call(arguments)
    seconds = time.monotonic() - begin
    trace = ""
    if code == 70 and (found := re.search(r"trace is in (\S+):", said)):
        trace = Path(found[1]).read_text(errors="replace")[-3000:]
        Path(found[1]).unlink()
    os.chdir(folder)
    shutil.rmtree(place, ignore_errors=True)
    return {
        "n": n,
        "code": code,
        "seconds": seconds,
        "said": said[:1000] + said[1000:][-1500:],
        "out": out[-300:],
        "trace": trace,
    }


def run_cases(folder: Path, seed: int, first: int, stop: int, step: int) -> None:
    """Run cases, each announced by a line before and told by a line behind it."""
    for n in range(first, stop, step):
        faulthandler.dump_traceback_later(2 * LONGEST, exit=True)
        print(json.dumps(run_case(folder, seed, n)), flush=True)
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    assert ScenarioModel is Scenario
    COMMANDS: dict[str, Callable[..., None]] = {"make": make_input, "run": run_cases}
    COMMANDS[sys.argv[1]](Path(sys.argv[2]).resolve(), *map(int, sys.argv[3:]))
