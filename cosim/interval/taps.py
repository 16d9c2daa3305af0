"""Tap changers from one interval to the next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cosim.case.case import Case
from cosim.case.state import NetworkState
from grid_models.powerflow.flow import Flow
from grid_models.response.tap_changer import TapState


def with_taps_of(case: Case, network: NetworkState) -> Case:
    """The case whose tap changers stand where the state of the network has them."""
    if case.taps is None:
        return case
    return replace(case, tap_state=TapState(network.tap_pos, network.tap_waited_s))


def with_taps_after(case: Case, network: NetworkState, flow: Flow) -> NetworkState:
    """State of the network after an interval that ended with a flow, K = 1."""
    if case.taps is None:
        return network
    before = TapState(network.tap_pos, network.tap_waited_s)
    after = case.taps.wait(before, flow.tap_pos[0], flow, 60.0 * case.interval_minutes)
    return network._replace(tap_pos=after.position, tap_waited_s=after.waited_s)


def with_taps_at_rest(network: NetworkState) -> NetworkState:
    """State of the network after intervals in which no tap changer wanted to step."""
    return network._replace(tap_waited_s=np.zeros(network.tap_pos.size)) if network.tap_pos.size else network
