"""Files of a validation: what it reads beside network and trades, and the tables it writes, all of them or none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cosim.case.participants import Participants, list_left_out, read_participants
from cosim.errors import ScenarioError
from cosim.results.csv_text import format_csv
from cosim.results.directory import write_json
from cosim.scenario.base import AS_IN_NET
from cosim.validation.phases import Phases, name_phases
from data.files import read_table
from data.prices import PRICE_UNITS, PriceSource
from data.profiles import Profiles
from data.tables import profiles_from_table

if TYPE_CHECKING:
    from cosim.validation.validate import Validation

CSV_TABLES = ("trades", "intervals", "houses", "violations")
PARQUET_TABLES = ("bus_voltage", "branch_loading")


def read_base(path: Path, interval_minutes: int | None, timezone: str, day_first: bool | None = None) -> Profiles:
    """Profiles from a file, which needs no price: trades have prices of their own.

    Raises
    ------
    data.errors.DataError
        If the file cannot be used.
    """
    table = read_table(path)
    prices = [name for name in PRICE_UNITS if name in table.frame.columns]
    if prices:
        table = table._replace(frame=table.frame.drop(columns=prices)).say(f"not needed: {', '.join(prices)}")
    return profiles_from_table(table, interval_minutes, timezone, PriceSource(0.0), day_first)


class Placement(NamedTuple):
    """Bus of each participant, the power factors of some loads, phases, and what was understood to read them.

    `phases` is None where the table has no column of them, or the model is balanced.
    """

    buses: dict[str, str | int]
    load_cos_phi: dict[str, float]
    phases: Phases | None
    notes: tuple[str, ...]


def read_placement(path: Path, model: str = "balanced") -> Placement:
    """Bus of each participant, and its phases in an unbalanced model.

    Raises
    ------
    ScenarioError
        If the file cannot be read, is empty, or lists a participant twice.
    """
    table = read_participants(path, placement_only=True)
    placement: dict[str, str | int] = {}
    for number, (participant, bus) in enumerate(table.rows, start=2):
        if participant in placement:
            raise ScenarioError(
                f"{path}, row {number}: expected each participant once, got '{participant}' again; remove the row"
            )
        placement[participant] = bus
    if not placement:
        raise ScenarioError(f"{path}: expected at least one row participant,bus, got none; add the participants")
    phases, said = _read_phases(table, model)
    return Placement(placement, table.load_cos_phi, phases, (*table.notes, *said))


def _read_phases(table: Participants, model: str) -> tuple[Phases | None, tuple[str, ...]]:
    """Phases of the participants of a table, and what of them is left out."""
    found = table.connections
    if model == "balanced":
        return None, list_left_out(table, "--model three_phase")
    if found is None:
        return None, ()
    elsewhere = ((found.battery != found.load) | (found.fuel_cell != found.load)).any()
    said = ("phases of batteries and fuel cells are left out: trades know load and generation",) if elsewhere else ()
    return name_phases(found, tuple(name for name, _ in table.rows)), said


def choose_zero_sequence(words: str | None) -> dict[str, float] | None:
    """Ratios of the zero sequence as `validate` takes them, from `r0_over_r1=4,x0_over_x1=4,c0_over_c1=1`.

    Raises
    ------
    ScenarioError
        If a part is no name and number.

    Examples
    --------
    >>> choose_zero_sequence("r0_over_r1=4, x0_over_x1=4, c0_over_c1=1")
    {'r0_over_r1': 4.0, 'x0_over_x1': 4.0, 'c0_over_c1': 1.0}
    """
    if words is None:
        return None
    parts = [part.split("=") for part in words.split(",")]
    try:
        return {name.strip(): float(value) for name, value in parts}
    except ValueError as reason:
        raise ScenarioError(
            f"--zero-sequence: expected r0_over_r1=4,x0_over_x1=4,c0_over_c1=1, got '{words}'; write names and numbers"
        ) from reason


def choose_limits(
    min_vm_pu: float | None,
    max_vm_pu: float | None,
    max_loading_percent: float | None,
    max_vuf_percent: float | None = None,
    max_neutral_to_earth_v: float | None = None,
    *,
    override: bool,
) -> dict[str, float]:
    """Limits as `validate` takes them, from options of which some are left out."""
    given = {
        "min_vm_pu": min_vm_pu,
        "max_vm_pu": max_vm_pu,
        "max_loading_percent": max_loading_percent,
        "max_vuf_percent": max_vuf_percent,
        "max_neutral_to_earth_v": max_neutral_to_earth_v,
    }
    asked = {name: value for name, value in given.items() if value is not None}
    return {**asked, "override": True} if override else asked


def choose_earthing(star_earth_ohm: float | None, house_earth_ohm: float | None) -> dict[str, float] | None:
    """Resistances to earth of the neutral as `validate` takes them; None where both are left out."""
    given = {"star_earth_ohm": star_earth_ohm, "house_earth_ohm": house_earth_ohm}
    return {name: value for name, value in given.items() if value is not None} or None


def choose_control(control: str, cos_phi: float | None) -> dict[str, Any]:
    """Control of the inverters as `validate` takes it.

    Raises
    ------
    ScenarioError
        If a power factor is given that this control has not.
    """
    if cos_phi is None:
        return {"control": control}
    if control != "cos_phi":
        raise ScenarioError(
            f"--cos-phi: expected --pv-control cos_phi, whose power factor it is, got --pv-control {control}; add it, "
            "or say the power factor of loads by --load-cos-phi"
        )
    return {"control": control, "cos_phi": cos_phi}


def choose_power_factors(load_cos_phi: float | None, placement: Placement | None) -> float | str | dict[str, float]:
    """Power factors of the loads as `validate` takes them: of all, or of those that a table of participants names.

    Raises
    ------
    ScenarioError
        If both are given.
    """
    of_some = {} if placement is None else placement.load_cos_phi
    if load_cos_phi is None:
        return of_some or AS_IN_NET
    if of_some:
        raise ScenarioError(
            "--load-cos-phi: expected none, since the table of participants has a column load_cos_phi, got one; "
            "leave one of them out"
        )
    return load_cos_phi


def write_validation(found: Validation, directory: Path) -> None:
    """Write all tables and the summary into a hidden directory, then give it its name.

    Raises
    ------
    ScenarioError
        If it cannot be written.
    """
    partial = directory.with_name(f".{directory.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        for name in CSV_TABLES:
            text = format_csv(getattr(found, name), index=name == "trades")
            (partial / f"{name}.csv").write_text(text, encoding="utf-8", newline="")
        for name in PARQUET_TABLES:
            getattr(found, name).to_parquet(partial / f"{name}.parquet", index=False)
        write_json(partial / "summary.json", found.summary)
        os.replace(partial, directory)
    except OSError as reason:
        raise ScenarioError(
            f"{directory}: expected a folder that can be written to, got {reason.strerror}; choose another with --out"
        ) from reason
