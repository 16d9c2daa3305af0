"""Magnitudes of an unbalanced solution, compiled: one pass over each interval while its voltages are in the cache.

`grid_models.phases.readout` says the same in a few lines of numpy, which take five times as long.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from grid_models.arrays import Complex, Floats, Ints
from grid_models.compiled import compiled

_HALF_ROOT = 0.5 * sqrt(3.0)
"""a = exp(2 pi i / 3) is -1/2 + i times this."""


@compiled
def read_voltages(v: Complex, node: Ints, neutral: Ints, base_v: Floats, vm_pu: Floats, vuf_percent: Floats) -> None:
    """Set voltages of the phases of each bus to its neutral, and their unbalance.

    Parameters
    ----------
    v
        Voltages of the nodes to earth, (K, n) V.
    node, neutral, base_v
        As of `grid_models.phases.readout.PhaseReadout`.
    vm_pu, vuf_percent
        (K, B, 3) and (K, B) that are set: NaN without supply. The factor is that of
        `grid_models.phases.sequence.voltage_unbalance_percent`.
    """
    for k in range(v.shape[0]):
        for b in range(node.shape[0]):
            of_neutral = v[k, neutral[b]] if neutral[b] >= 0 else 0.0 + 0.0j
            u0 = (v[k, node[b, 0]] if node[b, 0] >= 0 else 0.0 + 0.0j) - of_neutral
            u1 = (v[k, node[b, 1]] if node[b, 1] >= 0 else 0.0 + 0.0j) - of_neutral
            u2 = (v[k, node[b, 2]] if node[b, 2] >= 0 else 0.0 + 0.0j) - of_neutral
            re, im = (u0.real, u1.real, u2.real), (u0.imag, u1.imag, u2.imag)
            for phase in range(3):
                magnitude = sqrt(re[phase] * re[phase] + im[phase] * im[phase])
                vm_pu[k, b, phase] = magnitude / base_v[b] if node[b, phase] >= 0 else np.nan
            mean_re, mean_im = re[0] - 0.5 * (re[1] + re[2]), im[0] - 0.5 * (im[1] + im[2])
            turn_re, turn_im = _HALF_ROOT * (im[1] - im[2]), _HALF_ROOT * (re[1] - re[2])
            positive = (mean_re - turn_re) ** 2 + (mean_im + turn_im) ** 2
            negative = (mean_re + turn_re) ** 2 + (mean_im - turn_im) ** 2
            vuf_percent[k, b] = 100.0 * sqrt(negative / positive) if node[b, 0] >= 0 else np.nan


@compiled
def read_loadings(current_a: Complex, terminal: Ints, percent_per_a: Floats, percent: Floats) -> None:
    """Set the loading of conductors a, b, c, n of each branch, at that end where it is larger.

    Parameters
    ----------
    current_a
        Currents of the terminals, (K, c) A.
    terminal, percent_per_a
        As of `grid_models.phases.readout.PhaseReadout`. What comes back through a neutral that is none of its own is
        the sum of the phases.
    percent
        (K, L + R, 4) that is set.
    """
    for k in range(current_a.shape[0]):
        for branch in range(terminal.shape[0]):
            for conductor in range(4):
                most = 0.0
                for end in range(2):
                    i = terminal[branch, end, conductor]
                    current = current_a[k, i] if i >= 0 else 0.0 + 0.0j
                    if i < 0 and conductor == 3:
                        for phase in range(3):
                            if terminal[branch, end, phase] >= 0:
                                current += current_a[k, terminal[branch, end, phase]]
                    re, im = current.real * percent_per_a[branch, end], current.imag * percent_per_a[branch, end]
                    square = re * re + im * im
                    most = square if square > most or square != square else most  # a NaN stays
                percent[k, branch, conductor] = sqrt(most)
