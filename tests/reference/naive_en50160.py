"""EN 50160 by the book, mean by mean and node by node: what `cosim.results.en50160` must say too."""

from __future__ import annotations

import math
from collections.abc import Sequence

Volts = Sequence[Sequence[float]]
"""Of one node: voltages, pu, of each interval and phase; NaN where it is off."""


def rms(values: Sequence[float]) -> float:
    return math.sqrt(sum(value * value for value in values) / len(values))


def name_means(
    vm_pu: Volts, vuf_percent: Sequence[float] | None, islanded: Sequence[bool], minutes: int, late_minutes: int
) -> list[tuple[str, list[float], float]]:
    """Every mean of one node: `off`, `islanded` or `valid`, its voltages and its unbalance.

    `late_minutes` is how far behind a full ten minutes the run begins.
    """
    size = max(10 // minutes, 1)
    first = (-late_minutes % 10) // minutes if minutes < 10 and (-late_minutes % 10) % minutes == 0 else 0
    found = []
    for at in range(first, len(vm_pu) - size + 1, size):
        chosen = range(at, at + size)
        phases = [[vm_pu[t][p] for t in chosen] for p in range(len(vm_pu[0]))]
        if any(math.isnan(value) for phase in phases for value in phase):
            found.append(("off", [], 0.0))
        elif any(islanded[t] for t in chosen):
            found.append(("islanded", [], 0.0))
        else:
            vuf = 0.0 if vuf_percent is None else rms([vuf_percent[t] for t in chosen])
            found.append(("valid", [rms(phase) for phase in phases], vuf))
    return found


def judge_week(means: list[tuple[str, list[float], float]], minutes: int) -> tuple[str, str]:
    """Words for 4.2.2 and 4.2.4 of one week of one node."""
    if minutes > 10:
        return ("cannot be shown at this resolution",) * 2
    valid = [(phases, vuf) for kind, phases, vuf in means if kind == "valid"]
    whole = len(means) == 1008
    of = len(valid) if whole else 1008
    if whole:
        otherwise = "kept" if valid else "cannot be shown without a valid mean"
    else:
        otherwise = "cannot be shown by an incomplete week" if valid else "cannot be shown without a valid mean"
    n_phases = len(valid[0][0]) if valid else 0
    outside = [sum(not 0.9 - 1e-9 <= phases[p] <= 1.1 + 1e-9 for phases, _ in valid) for p in range(n_phases)]
    never = any(not 0.85 - 1e-9 <= vm <= 1.1 + 1e-9 for phases, _ in valid for vm in phases)
    unbalanced = sum(vuf > 2.0 + 1e-9 for _, vuf in valid)
    voltage = "not kept" if never or any(n * 20 > of for n in outside) else otherwise
    return voltage, "not kept" if unbalanced * 20 > of else otherwise
