"""A batch of intervals of a large network on all cores: each thread solves some of them.

Law: an interval's result is the same to the bit however many threads there are (`grid_models.powerflow.kernel`).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from grid_models.arrays import Floats
from grid_models.powerflow.kernel import LANES, Network
from grid_models.powerflow.readout import Solution, solve_all

LARGE = 1000
"""Buses from which on a batch is worth the threads; smaller ones take a few milliseconds."""


def solve_batch(
    net: Network, p_kw: Floats, q_kvar: Floats, tolerance_pu: float, max_iterations: int, n_threads: int | None = None
) -> Solution:
    """`solve_all` on several threads, one for each usable core if left out, where the network is large.

    Parameters
    ----------
    net
        The network.
    p_kw, q_kvar
        Injections of the participants, (K, N).
    tolerance_pu, max_iterations
        As for `solve_all`.
    n_threads
        Threads; each takes at least as many intervals as are solved side by side.
    """
    n_intervals = p_kw.shape[0]
    wanted = count_usable_cores() if n_threads is None else n_threads
    n = min(wanted, n_intervals // LANES) if net.no_load.shape[0] > LARGE else 1
    if n <= 1:
        return solve_all(net, p_kw, q_kvar, tolerance_pu, max_iterations)
    bounds = split_evenly(n_intervals, n)
    with ThreadPoolExecutor(n) as pool:
        parts = list(
            pool.map(
                lambda ends: solve_all(net, p_kw[slice(*ends)], q_kvar[slice(*ends)], tolerance_pu, max_iterations),
                bounds,
            )
        )
    return Solution(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def split_evenly(n_intervals: int, n_parts: int) -> list[tuple[int, int]]:
    """First and stop of each part, all but the last of whole blocks of lanes.

    Examples
    --------
    >>> split_evenly(100, 2)
    [(0, 64), (64, 100)]
    """
    size = -(-n_intervals // (n_parts * LANES)) * LANES
    return [(first, min(first + size, n_intervals)) for first in range(0, n_intervals, size)]


def count_usable_cores() -> int:
    """Cores that this process may run on, at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
