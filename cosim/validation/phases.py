"""Phases of the participants of a validation, and the network in the unbalanced model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from cosim.case.connections import choose_wires, describe, describe_wires
from cosim.scenario.model import Scenario
from data.errors import DataError
from grid_models.errors import GridError
from grid_models.feeder.connection import ABC, NAMES, Connections, make_connections, read_phase
from grid_models.feeder.feeder import Feeder
from grid_models.phases.fill import Ratios, with_zero_sequence
from grid_models.phases.notes import with_phase_notes

MODELS = ("balanced", "three_phase", "four_wire")
EARTHING = ("star_earth_ohm", "house_earth_ohm")
"""Resistances to earth of the neutral, keys of a scenario's `[network]`."""
OF_NEUTRAL = ("earthing", "max_neutral_to_earth_v")
"""Options of four wires alone."""
DEVICES = ("load", "pv")
"""Devices that trades know: what is bought is load, what is sold is generation."""

Phases = Mapping[str, str | Mapping[str, str]]
"""Phases by participant: a, b, c or abc, or one of these for each of `DEVICES`."""


def check_model(model: str, given: Mapping[str, Any]) -> None:
    """Refuse a model that there is not, and what the balanced model would pass over in silence.

    Parameters
    ----------
    model
        As of `cosim.validation.validate.validate`.
    given
        Options of the unbalanced model by their names; None where they were left out.

    Raises
    ------
    DataError
        Naming the option.
    """
    if model not in MODELS:
        raise DataError(f"model: expected one of {', '.join(MODELS)}, got '{model}'; correct the name")
    for name, value in given.items():
        if model == "balanced" and value is not None:
            fitting = "four_wire" if name in OF_NEUTRAL else "three_phase"
            raise DataError(
                f"{name}: expected none in the balanced model, which knows no phases, got {value}; leave it out, or "
                f"choose the model {fitting} (--model {fitting})"
            )
        if model == "three_phase" and value is not None and name in OF_NEUTRAL:
            raise DataError(
                f"{name}: expected none in three phases, whose neutral is earthed everywhere, got {value}; leave it "
                "out, or choose the model four_wire (--model four_wire)"
            )


def name_model(feeder: Feeder) -> str:
    """Which of `MODELS` a feeder is judged in."""
    connections = feeder.connections
    return MODELS[0 if connections is None else 1 if connections.wires is None else 2]


def connect(
    feeder: Feeder,
    model: str,
    phases: Phases,
    zero_sequence: Mapping[str, float] | None,
    earthing: Mapping[str, float] | None = None,
    others: Collection[str] = (),
) -> Feeder:
    """Feeder whose participants know their phases, with notes that say where these come from.

    Parameters
    ----------
    feeder
        Network with N participants.
    model
        three_phase or four_wire.
    phases
        Their phases; those left out are on all three.
    zero_sequence
        r0_over_r1, x0_over_x1, c0_over_c1 of lines without a zero sequence; None: the net has one.
    earthing
        Of four wires: the resistances `EARTHING`, ohm.
    others
        Names that may be in `phases` beside the participants.

    Raises
    ------
    DataError, ScenarioError
        If a name is no participant's, or a phase or ratio cannot be used.
    """
    for key in earthing or {}:
        if key not in EARTHING:
            raise DataError(f"earthing: expected {' or '.join(EARTHING)}, got '{key}'; correct the name")
    options: dict[str, Any] = {"model": model, "zero_sequence": dict(zero_sequence or {}), **(earthing or {})}
    scenario = Scenario("options", network=options)
    ratios, wires = scenario.network.zero_sequence, choose_wires(scenario)
    filled = with_phase_notes(with_zero_sequence(feeder, Ratios(**ratios) if ratios else None), model)
    for name in phases:
        if name not in {*feeder.participants, *others}:
            raise DataError(f"phases: expected participants, got '{name}'; correct the name")
    connections = read_connections(phases, feeder.participants)
    said = "phases of participants as given" if phases else "no phases are given, so that all are on three"
    notes = [f"{said}: {describe(connections)}", *([] if wires is None else [describe_wires(wires)])]
    return replace(filled, connections=replace(connections, wires=wires), notes=(*filled.notes, *notes))


def read_connections(phases: Phases, participants: tuple[str, ...]) -> Connections:
    """Connections of loads and panels; a validation knows no other devices, whose codes are those of the loads.

    Raises
    ------
    DataError
        If a word is no phase, or a device none of `DEVICES`.

    Examples
    --------
    >>> made = read_connections({"ann": "b", "bob": {"load": "c", "pv": "abc"}}, ("ann", "bob", "eve"))
    >>> [NAMES[code] for code in made.load], [NAMES[code] for code in made.pv]
    (['b', 'c', 'abc'], ['b', 'abc', 'abc'])
    """
    codes = [_read_codes(phases.get(name, NAMES[ABC]), f"phases, participant '{name}'") for name in participants]
    load, pv = np.array(codes, np.int8).reshape(-1, len(DEVICES)).T
    return make_connections(load, pv=pv)


def _read_codes(given: str | Mapping[str, str], where: str) -> tuple[int, int]:
    """Codes of load and panels."""
    words = given if isinstance(given, Mapping) else {"load": given}
    unknown = [device for device in words if device not in DEVICES]
    if unknown or "load" not in words:
        raise DataError(
            f"{where}: expected a phase, or phases of load and perhaps pv, got {', '.join(map(str, words))}; "
            "correct the names"
        )
    try:
        return read_phase(str(words["load"]), where), read_phase(str(words.get("pv", words["load"])), where)
    except GridError as reason:
        raise DataError(f"{reason}; correct the word") from reason


def name_phases(connections: Connections, names: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Phases by participant, as `read_connections` takes them."""
    pairs = zip(names, connections.load.tolist(), connections.pv.tolist(), strict=True)
    return {name: {"load": NAMES[load], "pv": NAMES[pv]} for name, load, pv in pairs}
