"""Files of an imported network: the network, its participants, their profiles, and the scenario that runs them.

Law: they appear together or not at all, and never in place of a file that is there.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandapower as pp
import pandas as pd

from cosim.errors import ScenarioError
from cosim.nets.importing.houses import Housed, find_houses
from cosim.nets.importing.imported import Imported
from cosim.nets.importing.simbench import PRICE_EUR_PER_KWH
from cosim.nets.models import Model
from cosim.results.csv_text import format_csv
from cosim.results.folders import make_folder
from cosim.scenario.files import parse_scenario
from data.tables import LARGEST_INTERVAL_WH, write_profiles
from grid_models.phases.tables import format_tables

SCENARIO = "scenario.toml"
PARTICIPANTS = "participants.csv"
OF_RUN = "network_of_run.json"
WALLET_EUR = 1_000_000.0

_TEMPLATE = """# {title}
# A network that was imported: change what you like, and run it with: gridsettle run {scenario}
name = "{name}"

[horizon]
start = {start}
hours = {hours}
interval_minutes = {minutes}

[profiles]
source = "table"
file = "{profiles}"
# The file of the network has no prices: this one is ours.
price_eur_per_kwh = {price}

[network]
source = "file"
file = "{network}"
participants = "{participants}"
model = "{model}"
keep_elements = {keep}
shared_bus = {shared}

[market]
feed_in = true

[houses]
wallet_eur = {wallet}

# As in the file: no batteries beside those of the network.
[battery]
capacity_kwh_min = 0.0
capacity_kwh_max = 0.0
"""


class Prepared(NamedTuple):
    """Files that are to be written.

    Attributes
    ----------
    folder
        Where they will be.
    makers
        What writes each, by name, in the order in which they are named to the user.
    scenario
        Text of the scenario among them; empty where there is none.
    notes
        What a reader of a run must know, or why there is no scenario.
    """

    folder: Path
    makers: dict[str, Callable[[Path], Any]]
    scenario: str
    notes: tuple[str, ...]


def prepare_files(imported: Imported, out: Path, name: str) -> Prepared:
    """Files of an imported network and of what a run of it needs; nothing is written yet.

    Parameters
    ----------
    imported
        The network.
    out
        Its file; with four wires the folder of its tables.
    name
        Name of the scenario.

    Raises
    ------
    ScenarioError
        If `out` is no such file or folder, or a participant has no bus.
    """
    if imported.model is Model.FOUR_WIRE:
        return _prepare_tables(imported, out)
    if out.suffix.lower() != ".json":
        raise ScenarioError(f"{out}: expected the name of a JSON file to write, such as feeder.json, got another")
    net, housed = imported.net, find_houses(imported)
    makers: dict[str, Callable[[Path], Any]] = {out.name: lambda path: _write_net(net, path)}
    if housed is None:
        return Prepared(out.parent, makers, "", ("no scenario: nothing in the network draws or feeds constant power",))
    if housed.unlike:
        reason = f"the power of '{housed.unlike[0]}' is between phases or differs by phase, which no participant's can"
        return Prepared(out.parent, makers, "", (f"no scenario: {reason}",))
    if too_large := _find_too_large(housed):
        return Prepared(out.parent, makers, "", (f"no scenario: {too_large}",))
    profiles = f"profiles.{'csv' if housed.is_constant else 'parquet'}"
    network, notes = out.name, housed.notes
    if housed.kept:
        network, run_net = OF_RUN, _without_houses(net, housed)
        makers[OF_RUN] = lambda path: _write_net(run_net, path)
        kept = ", ".join(f"{len(rows)} {table}" for table, rows in housed.kept.items())
        notes += (f"{OF_RUN}: the network without what participants stand for; a run keeps {kept}",)
    text = _format_scenario(imported, housed, name, network, profiles)
    parse_scenario(text, SCENARIO)
    makers[PARTICIPANTS] = lambda path: path.write_text(_format_participants(housed, imported.model), encoding="utf-8")
    makers[profiles] = lambda path: write_profiles(housed.profiles, path, with_price=False)
    makers[SCENARIO] = lambda path: path.write_text(text, encoding="utf-8")
    return Prepared(out.parent, makers, text, notes)


def _find_too_large(housed: Housed) -> str:
    """Who draws or feeds more than a table of profiles holds; empty where nobody does."""
    given = housed.profiles
    largest = np.maximum(given.load_wh, given.pv_wh).max(axis=0)
    if given.load_varh is not None:
        largest = np.maximum(largest, np.abs(given.load_varh).max(axis=0))
    if largest.max() <= LARGEST_INTERVAL_WH:
        return ""
    name = given.participants[int(np.argmax(largest))]
    return (
        f"'{name}' exchanges {largest.max() / 1e6:,.6g} MWh in an interval, and participants at most "
        f"{LARGEST_INTERVAL_WH / 1e6:g}; this is a network of transmission, not of houses"
    )


def _write_net(net: Any, path: Path) -> None:
    path.write_text(pp.to_json(net), encoding="utf-8")


def _without_houses(net: Any, housed: Housed) -> Any:
    """The network with those elements alone that no participant stands for, beside its own."""
    bare = deepcopy(net)
    for table in ("load", "sgen", "storage", "asymmetric_load", "asymmetric_sgen"):
        kept = housed.kept.get(table, [])
        bare[table] = bare[table][bare[table].index.isin(kept)]
    return bare


def _format_participants(housed: Housed, model: Model) -> str:
    frame = pd.DataFrame(
        {
            "participant": [house.participant for house in housed.houses],
            "bus": [f"#{house.bus}" for house in housed.houses],
        }
    )
    if model is not Model.BALANCED:
        frame["phase"] = [house.phase for house in housed.houses]
    return format_csv(frame)


def _format_scenario(imported: Imported, housed: Housed, name: str, network: str, profiles: str) -> str:
    buses = [house.bus for house in housed.houses]
    given = housed.profiles
    return _TEMPLATE.format(
        title=name,
        scenario=SCENARIO,
        name=name.replace("\\", "\\\\").replace('"', '\\"'),
        start=given.start.astype(object).replace(tzinfo=UTC).isoformat().replace("+00:00", "Z"),
        hours=f"{given.n_intervals * given.interval_minutes / 60:g}",
        minutes=given.interval_minutes,
        profiles=profiles,
        price=PRICE_EUR_PER_KWH,
        network=network,
        participants=PARTICIPANTS,
        model=imported.model.value,
        keep="true" if housed.kept else "false",
        shared="true" if len(set(buses)) < len(buses) else "false",
        wallet=WALLET_EUR,
    )


def _prepare_tables(imported: Imported, out: Path) -> Prepared:
    """The folder of tables of a network with four wires."""
    if out.suffix:
        raise ScenarioError(
            f"{out}: expected a folder for the tables of a network with four wires, got the name of a file; leave out "
            f"'{out.suffix}'"
        )
    makers: dict[str, Callable[[Path], Any]] = {
        f"{table}.csv": partial(_write_text, text) for table, text in format_tables(imported.net).items()
    }
    why = "runs take no network with four wires or matrices of its own; it is solved by"
    return Prepared(out, makers, "", (f"no scenario: {why}: gridsettle net solve {out}, and looked over by net check",))


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def write_files(prepared: Prepared) -> tuple[Path, ...]:
    """Write files under a temporary folder, then give all of them their names; none of them may be there.

    Raises
    ------
    ScenarioError
        If one is, or they cannot be written.
    """
    folder, names = prepared.folder, list(prepared.makers)
    _check_free(folder, names)
    made: list[Path] = []
    try:
        with tempfile.TemporaryDirectory(prefix=".import-", dir=make_folder(folder)) as temporary:
            for name, make in prepared.makers.items():
                make(Path(temporary) / name)
            _check_free(folder, names)
            for name in names:
                os.rename(Path(temporary) / name, folder / name)
                made.append(folder / name)
    except BaseException as reason:
        for path in made:
            path.unlink(missing_ok=True)
        if isinstance(reason, OSError):
            raise ScenarioError(
                f"{folder}: expected a folder that can be written to, got {reason.strerror}; choose another by --out"
            ) from reason
        raise
    return tuple(made)


def _check_free(folder: Path, names: list[str]) -> None:
    for name in names:
        if os.path.lexists(folder / name):
            raise ScenarioError(f"{folder / name}: expected no such file, found one; choose another folder by --out")
