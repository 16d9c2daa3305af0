"""What a network's notes say in the unbalanced model: phases are kept, and who judges which transformer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from grid_models.feeder.elements import SUMMED
from grid_models.feeder.feeder import Feeder


def with_phase_notes(feeder: Feeder, model: str) -> Feeder:
    """Feeder without the notes that are true of the balanced model alone, and with those on its judge.

    Parameters
    ----------
    feeder
        Network with its zero sequence.
    model
        three_phase, which `runpp_3ph` judges, or four_wire, which OpenDSS does.
    """
    kept = [note for note in feeder.notes if not note.endswith(SUMMED)]
    said = _list_replaced(feeder.net) if model == "three_phase" else ()
    return replace(feeder, notes=(*kept, *said))


_WHY = {"yzn": "whose Yzn depends on sn_mva", "yyn": "which solves no Yyn"}
"""Vector groups that the judge gets a Dyn for, and why."""


def _list_replaced(net: Any) -> Iterator[str]:
    """Transformers that `runpp_3ph` gets another one for, since what it says of them is not of the net alone."""
    if "vector_group" not in net.trafo:
        return
    live = net.trafo[net.trafo["in_service"].astype(bool)]
    for index, group in live["vector_group"].items():
        if str(group).lower() in _WHY:
            why = _WHY[str(group).lower()]
            yield f"trafo {index}: {group}; runpp_3ph, {why}, is given a Dyn of the same zero sequence"
