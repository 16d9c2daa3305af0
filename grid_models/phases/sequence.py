"""Symmetrical components: zero, positive and negative sequence of three phases (Fortescue 1918)."""

from __future__ import annotations

from typing import Any

import numpy as np

from grid_models.arrays import Complex, Floats

PHASES = ("a", "b", "c")

_a = np.exp(2j * np.pi / 3.0)
TO_PHASES: Complex = np.array([[1.0, 1.0, 1.0], [1.0, _a**2, _a], [1.0, _a, _a**2]])
"""Phases a, b, c of the sequences 0, 1, 2."""
TO_SEQUENCES: Complex = TO_PHASES.conj().T / 3.0
"""Its inverse."""


def make_phase_matrix(zero: Any, positive: Any, negative: Any) -> Complex:
    """Matrices of phases from values of the sequences, (…, 3, 3).

    Examples
    --------
    >>> make_phase_matrix(4.0, 1.0, 1.0).real.round(12)
    array([[2., 1., 1.],
           [1., 2., 1.],
           [1., 1., 2.]])
    """
    values = np.stack(np.broadcast_arrays(zero, positive, negative), axis=-1)
    return np.asarray(TO_PHASES * values[..., None, :] @ TO_SEQUENCES)


def voltage_unbalance_percent(v: Complex | Any) -> Floats:
    """Voltage unbalance factor 100·|V₂|/|V₁| of voltages of phases a, b, c in the last axis (EN 50160, IEC 61000-2-2).

    Examples
    --------
    >>> voltage_unbalance_percent(np.array([1.0, TO_PHASES[1, 1], TO_PHASES[2, 1]])).round(9) + 0.0
    np.float64(0.0)
    """
    sequences = v @ TO_SEQUENCES.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(100.0 * np.abs(sequences[..., 2]) / np.abs(sequences[..., 1]))
