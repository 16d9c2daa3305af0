"""A network as a script of OpenDSS, with the names that its numbers stand for."""

from __future__ import annotations

from typing import Any, NamedTuple

from cosim.nets.models import Model
from grid_models.phases.circuit import Circuit
from grid_models.phases.four_wire import make_four_wire
from grid_models.phases.opendss import Script, write_four_wire, write_three_phase
from grid_models.phases.tables import Tables
from grid_models.phases.three_phase import ThreePhaseNet, make_three_phase


class Written(NamedTuple):
    """A script, the circuit that it is made of, and the net in three phases where it is one."""

    script: Script
    circuit: Circuit
    net: ThreePhaseNet | None


def write_opendss(network: Any) -> Written:
    """Script of a pandapower net in three phases, or of a folder's tables.

    Raises
    ------
    GridError
        If the network cannot be represented by our model or by OpenDSS.
    """
    if isinstance(network, Tables):
        circuit = make_four_wire(network)
        return Written(write_four_wire(network, circuit), circuit, None)
    made = make_three_phase(network)
    return Written(write_three_phase(network, made), made.circuit, made)


def format_opendss(network: Any, model: Model) -> str:
    """Text of a script, with a comment for each bus."""
    written = write_opendss(network)
    names = {node.split(".")[0]: bus for node, bus in zip(written.script.node, written.circuit.bus, strict=True)}
    comments = [f"! {model}, written by gridsettle net export; buses:", *(f"! {k} = {bus}" for k, bus in names.items())]
    return "\n".join((*comments, *written.script.commands, ""))
