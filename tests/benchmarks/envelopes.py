"""Operating envelopes: how robust, how wide and how fast; `python -m tests.benchmarks.envelopes [--quick]`.

Times are processor times on one core.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from cosim.case.case import Case, build_case
from cosim.delivery.setpoints import at_device, mean_kw
from cosim.scenario.files import load_scenario
from grid_models.envelopes.corners import Background
from grid_models.envelopes.customers import Customers
from grid_models.envelopes.rules import RULES
from grid_models.envelopes.solve import find_envelopes
from grid_models.envelopes.wires import Wires
from tests.reference.drawn_envelopes import Drawn, are_clean, draw_points, draw_setting, search_level, search_total

NAMES = tuple(RULES)
CONNECTION_KW = 30.0


def count_unclean(n_seeds: int, n_points: int, n_intervals: int, *, phases: bool) -> str:
    """Random points inside boxes of random feeders, whose intervals follow one of them where there are several."""
    boxes = unclean = 0
    for seed in range(3000, 3000 + n_seeds):
        drawn, rng = draw_setting(seed, phases=phases, most_kw=60.0), np.random.default_rng(seed)
        scale = rng.uniform(-2.0, 2.0, (n_intervals, 1)) if n_intervals > 1 else np.ones((1, 1))
        background = Background(*(scale * values for values in drawn.background))
        found = find_envelopes(drawn.wires, drawn.customers, background, NAMES[seed % len(NAMES)])
        for k in np.flatnonzero(found.robust).tolist():
            alone = drawn._replace(background=background.select(np.array([k])))
            clean = are_clean(alone, draw_points(found, n_points, rng, k))
            boxes, unclean = boxes + 1, unclean + int((~clean).sum())
    return f"{'by phases' if phases else 'balanced'}, {n_intervals} intervals: {boxes} boxes, {unclean} points unclean"


def compare_widths(n_seeds: int, *, phases: bool) -> str:
    """Largest shortfall of `max_total` and of the least room of `max_min` against an exhaustive search, per cent."""
    total, level = [0.0], [0.0]
    for seed in range(0, 5 * n_seeds, 5):
        drawn = draw_setting(seed, phases=phases, customers=2, most_kw=100.0)
        found, fair = (find_envelopes(*drawn, rule) for rule in ("max_total", "max_min"))
        if found.robust[0]:
            total.append(1.0 - float((found.export_kw - found.import_kw).sum()) / search_total(drawn))
            most, best = drawn.customers.most_kw, search_level(drawn)
            rooms = np.concatenate([fair.export_kw[0], -fair.import_kw[0]])
            level.append(float((1.0 - np.minimum(rooms, best) / np.minimum(most, best)).max()))
    where = "by phases" if phases else "balanced"
    return f"{where}, {len(total) - 1} feeders: max_total {100 * max(total):.2f} %, max_min {100 * max(level):.2f} %"


def take_default(case: Case, n_customers: int, n_intervals: int) -> Drawn:
    """Houses of the default scenario as customers, and what all others do in some hours of the year."""
    profiles, feeder = case.profiles, case.feeder
    load, pv = (mean_kw(wh, profiles.interval_minutes) for wh in (profiles.load_wh, profiles.pv_wh))
    who = np.sort(np.random.default_rng(0).choice(load.shape[1], n_customers, replace=False))
    load[:, who] = pv[:, who] = 0.0
    connections = feeder.connections
    assert connections is not None
    p_kw = at_device(pv, "pv", connections) - at_device(load, "load", connections)
    q_kvar = (
        -at_device(load * np.nan_to_num(feeder.load_tan_phi), "load", connections)
        if (feeder.load_tan_phi is not None)
        else 0.0 * p_kw
    )
    at, most = [connections.column(name)[who] for name in ("pv", "load")], np.full(n_customers, CONNECTION_KW)
    customers = Customers(at[0], at[1], most, most)
    chosen = np.linspace(0, len(p_kw) - 1, n_intervals).astype(np.int64)
    return Drawn(Wires((case.engine,), case.limits), customers, Background(p_kw, q_kvar).select(chosen))


def time_default(rule: str, n_customers: int, n_intervals: int) -> str:
    """Seconds of a rule on the default scenario."""
    drawn = take_default(build_case(load_scenario("default")), n_customers, n_intervals)
    find_envelopes(drawn.wires, drawn.customers, drawn.background.select(np.arange(2)), rule)
    begin = time.process_time()
    found = find_envelopes(*drawn, rule)
    taken = time.process_time() - begin
    year = f"{1000.0 * taken / n_intervals:.1f} ms an interval"
    robust = 100.0 * found.robust.mean()
    return f"{rule}, {n_customers} customers, {n_intervals} hours: {taken:.1f} s, {year}, {robust:.0f} % robust"


def main() -> None:
    """Print everything."""
    quick = "--quick" in sys.argv
    for phases in (False, True):
        for n_intervals in (1, 6):
            print(count_unclean(20 if quick else 200, 1000, n_intervals, phases=phases), flush=True)
        print(compare_widths(2 if quick else 8, phases=phases), flush=True)
    for rule in NAMES:
        print(time_default(rule, 16, 24 if quick else 8760), flush=True)
    print(time_default("equal", 36, 24 if quick else 8760), flush=True)


if __name__ == "__main__":
    main()
