"""Power factor of every participant's load: named by the user, else that of the net's own load at the same bus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from cosim.case.community import COMMUNITY
from cosim.errors import ScenarioError
from cosim.scenario.base import AS_IN_NET
from data.profiles import Profiles
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.own_loads import convert_to_cos_phi, convert_to_tan_phi


def with_power_factors(feeder: Feeder, load_cos_phi: float | str, of_participants: Mapping[str, float]) -> Feeder:
    """Feeder with the power factor of every load.

    Parameters
    ----------
    feeder
        Network, with the power factors of its own loads.
    load_cos_phi
        Power factor of all loads, capacitive below zero, or `as_in_net`.
    of_participants
        Power factors of some participants, which come first.
    """
    n = feeder.bus.size
    in_net = np.full(n, np.nan) if feeder.load_tan_phi is None else feeder.load_tan_phi
    follows = load_cos_phi == AS_IN_NET
    tan_phi = in_net.copy() if follows else np.full(n, convert_to_tan_phi(float(load_cos_phi)))
    for k, name in enumerate(feeder.participants):
        if name in of_participants:
            tan_phi[k] = convert_to_tan_phi(of_participants[name])
    return replace(feeder, load_tan_phi=tan_phi)


def with_notes_on_reactive_power(
    feeder: Feeder, profiles: Profiles, load_cos_phi: float | str, of_participants: Mapping[str, float]
) -> Feeder:
    """Feeder with notes that say where the reactive power of the loads comes from, if nobody named one for all.

    Parameters
    ----------
    feeder
        Network, with the power factor of every load.
    profiles
        They may have the reactive power themselves.
    load_cos_phi, of_participants
        As in `with_power_factors`.
    """
    if profiles.load_varh is not None:
        return replace(feeder, notes=(*feeder.notes, "reactive power of loads as in the profiles"))
    named = [name for name in feeder.participants if name in of_participants]
    notes = [f"power factor of {len(named)} loads as in the table of participants"] if named else []
    left = [k for k, name in enumerate(feeder.participants) if name not in of_participants and name != COMMUNITY]
    if load_cos_phi == AS_IN_NET and feeder.load_tan_phi is not None and left:
        notes += _describe(feeder.load_tan_phi[left], [feeder.participants[k] for k in left])
    return replace(feeder, notes=(*feeder.notes, *notes))


def _describe(tan_phi: np.ndarray, names: Sequence[str]) -> list[str]:
    """What the network says of power factors that nobody named, in words for the user."""
    known = tan_phi[~np.isnan(tan_phi)]
    notes = []
    if known.any():
        low, high = (convert_to_cos_phi(value) for value in (known.max(), known.min()))
        same = round(abs(low), 4) == round(abs(high), 4) and low * high > 0.0
        begin = f"{abs(low):.4g}" if low * high > 0.0 and abs(high) < 0.99995 else _word(low)
        notes.append(f"power factor of loads as in the net: {_word(low) if same else f'{begin} to {_word(high)}'}")
        unknown = [name for name, value in zip(names, tan_phi, strict=True) if np.isnan(value)]
        if unknown:
            notes.append(
                f"{len(unknown)} participants such as '{unknown[0]}' are at buses without a load in the net: "
                "their loads draw no reactive power (load_cos_phi)"
            )
    return notes


def _word(cos_phi: float) -> str:
    return (
        "1" if round(abs(cos_phi), 4) == 1.0 else f"{abs(cos_phi):.4g} {'inductive' if cos_phi > 0 else 'capacitive'}"
    )


def check_one_source(profiles: Profiles, load_cos_phi: float | str, of_participants: Mapping[str, float]) -> None:
    """Refuse power factors beside profiles that say the reactive power themselves.

    Raises
    ------
    ScenarioError
        If both are given.
    """
    if profiles.load_varh is None or (load_cos_phi == AS_IN_NET and not of_participants):
        return
    raise ScenarioError(
        "load_cos_phi: expected none, since the profiles have the reactive power of every load, got one; "
        "leave it out, or remove the columns of reactive power"
    )
