"""What a network can be modelled as."""

from __future__ import annotations

from enum import StrEnum


class Model(StrEnum):
    """What stands for a bus."""

    BALANCED = "balanced"
    """One voltage; all phases alike."""
    THREE_PHASE = "three_phase"
    """Three phases, the neutral earthed everywhere."""
    FOUR_WIRE = "four_wire"
    """Three phases and the neutral."""
