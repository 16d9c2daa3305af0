"""Random feeders with customers, and an exhaustive search for the boxes of two of them."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from grid_models.arrays import Floats, Mask
from grid_models.envelopes.corners import Background
from grid_models.envelopes.customers import Customers
from grid_models.envelopes.solve import Envelopes
from grid_models.envelopes.wires import Wires
from grid_models.feeder.connection import make_connections
from grid_models.feeder.generated import make_radial_feeder
from grid_models.phases.fill import FOUR_CORE, with_delta_star, with_zero_sequence
from grid_models.powerflow.limits import Limits
from grid_models.powerflow.verdicts import Judgement, judge
from grid_models.response.sensitivity import AnyPowerFlow, make_engine


class Drawn(NamedTuple):
    """What envelopes are found for."""

    wires: Wires
    customers: Customers
    background: Background


SETTINGS_OF_A_FEEDER = 5
"""Making a network takes longer than finding its envelopes."""


@lru_cache(maxsize=4)
def draw_engine(seed: int, *, phases: bool) -> AnyPowerFlow:
    """Engine of a random feeder."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 13))
    feeder = make_radial_feeder(
        [f"house {k}" for k in range(n)],
        n_branches=int(rng.integers(1, min(3, n) + 1)),
        spacing_m=float(rng.uniform(20.0, 250.0)),
        main_cable=str(rng.choice(["NAYY 4x150 SE", "NAYY 4x50 SE"])),
        trafo_std_type=str(rng.choice(["0.25 MVA 20/0.4 kV", "0.4 MVA 20/0.4 kV"])),
        rng=rng,
    )
    if phases:
        code = rng.integers(0, 4, n)
        connections = make_connections(code, pv=np.where(rng.random(n) < 0.3, 0, code))
        feeder = replace(with_zero_sequence(with_delta_star(feeder), FOUR_CORE), connections=connections)
    return make_engine(feeder)


def draw_setting(seed: int, *, phases: bool, customers: int | None = None, most_kw: float = 40.0) -> Drawn:
    """A random feeder and interval; some of its houses take part, and all others draw power."""
    engine, rng = draw_engine(seed // SETTINGS_OF_A_FEEDER, phases=phases), np.random.default_rng(seed)
    feeder = engine.feeder
    n, connections = feeder.bus.size, feeder.connections
    load, pv = (np.arange(n) if connections is None else connections.column(name) for name in ("load", "pv"))
    m = int(rng.integers(1, n + 1)) if customers is None else customers
    who = np.sort(rng.choice(n, m, replace=False))
    most_export, most_import = rng.uniform(3.0, most_kw, (2, m)).round(1)
    band = {"min_vm_pu": float(rng.choice([0.9, 0.95])), "max_vm_pu": float(rng.choice([1.05, 1.1]))}
    p_kw = np.zeros((1, feeder.injection_bus.size))
    others = np.setdiff1d(np.arange(n), who)
    p_kw[0, load[others]] = -rng.uniform(0.0, 4.0, others.size)
    return Drawn(
        Wires((engine,), Limits.from_feeder(feeder, **band)),
        Customers(pv[who], load[who], most_export, most_import),
        Background(p_kw, 0.2 * p_kw),
    )


def are_clean(drawn: Drawn, p_kw: Floats) -> Mask:
    """Whether AC is clean at powers of the customers, (K, M) kW, in the first interval."""
    wires, customers, background = drawn
    p, q = (np.repeat(values[:1], len(p_kw), axis=0) for values in background)
    for j, power in enumerate(p_kw.T):
        p[:, customers.export_at[j]] += np.maximum(power, 0.0)
        p[:, customers.import_at[j]] += np.minimum(power, 0.0)
    clean = np.ones(len(p), dtype=bool)
    for engine in wires.engines:
        clean &= judge(engine.solve(p, q), wires.limits).status == Judgement.OK
    return clean


def draw_points(found: Envelopes, n: int, rng: np.random.Generator, k: int = 0) -> Floats:
    """Random points of the box of interval k, (n, M) kW: one in four of them is a corner."""
    low, high = found.import_kw[k], found.export_kw[k]
    points = low + rng.random((n, low.size)) * (high - low)
    corner = rng.random((n // 4, low.size)) < 0.5
    points[: n // 4] = np.where(corner, low, high)
    return points


def search_total(drawn: Drawn, n: int = 31, zooms: int = 5) -> float:
    """Largest sum of the four rooms of two customers, kW, by trying all boxes of a grid, and of finer ones around."""
    most = drawn.customers.most_kw
    low, high, best = np.zeros(4), most.copy(), -1.0
    for _ in range(zooms):
        grid = np.linspace(low, high, n)
        total, at = _search_grid(drawn, grid)
        best = max(best, total)
        if at is None:
            break
        step = (high - low) / (n - 1)
        low, high = np.maximum(at - 3.0 * step, 0.0), np.minimum(at + 3.0 * step, most)
    return best


def _search_grid(drawn: Drawn, grid: Floats) -> tuple[float, Floats | None]:
    """Best box whose rooms are on the grid, (n, 4): exports of both, then imports; all nine corners are clean."""
    n = len(grid)
    first, second = (np.concatenate([grid[:, j], -grid[:, 2 + j], [0.0]]) for j in (0, 1))
    pairs = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
    clean = are_clean(drawn, pairs).reshape(first.size, second.size)
    best, at = -1.0, None
    for i, k in np.ndindex(n, n):
        both = clean[i] & clean[n + k] & clean[-1]
        if both[-1] and both[0] and both[n]:
            export, imported = (int(np.argmin(np.append(part, False))) - 1 for part in (both[:n], both[n:-1]))
            box = np.array([grid[i, 0], grid[export, 1], grid[k, 2], grid[imported, 3]])
            if box.sum() > best:
                best, at = float(box.sum()), box
    return best, at


def search_level(drawn: Drawn, n: int = 4001) -> float:
    """Largest common room of two customers, kW: none has less, but where its connection cannot do more."""
    most = drawn.customers.most_kw
    levels = np.linspace(0.0, most.max(), n)
    clean = np.ones(n, dtype=bool)
    ends = np.concatenate([np.minimum(levels[:, None], most), np.zeros((n, 2))], axis=1)
    ends[:, 2:4] *= -1.0
    for a, b in np.ndindex(3, 3):
        clean &= are_clean(drawn, ends[:, [2 * a, 2 * b + 1]])
    return float(levels[int(np.argmin(np.append(clean, False))) - 1])
