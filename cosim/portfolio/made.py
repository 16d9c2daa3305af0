"""Portfolios for trying: feeders drawn at random around the generated one, pandapower's nets, SimBench grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cosim.errors import ScenarioError
from cosim.portfolio.entry import Entry, make_entry
from cosim.portfolio.index import MOST_FEEDERS, check_name, with_sources
from cosim.scenario.messages import suggest
from cosim.scenario.model import Scenario
from grid_models.feeder.named_nets import NETS, SIMBENCH_CODE

CABLES = (("NAYY 4x150 SE", "NAYY 4x50 SE"), ("NAYY 4x120 SE", "NAYY 4x50 SE"), ("NAYY 4x50 SE", "NAYY 4x50 SE"))
"""pandapower standard types of main and service cables, of which one pair is drawn."""
TRAFOS = ("0.25 MVA 20/0.4 kV", "0.4 MVA 20/0.4 kV", "0.63 MVA 20/0.4 kV")
SPACING_M = 20.0, 60.0
PRODUCTION_RATIO = 0.3, 3.0
MOST_BRANCHES = 5
MOST_HOUSES = 12
"""Of a branch, as far as planners let one cable go."""


def generate_entries(n_feeders: int, seed: int, base: Scenario) -> list[Entry]:
    """Sound feeders drawn around the generated one: branches, lengths, cables, transformer, houses and panels.

    A feeder follows from the seed and its number alone, however many there are. What is drawn goes before the base.

    Raises
    ------
    ScenarioError
        If there are too many, or the base has a network that is not generated.
    """
    if not 1 <= n_feeders <= MOST_FEEDERS:
        raise ScenarioError(f"--generate: expected 1 to {MOST_FEEDERS:,} feeders, got {n_feeders:,}")
    if base.network.source != "generated":
        raise ScenarioError(
            f"--generate: expected a scenario with a generated network, got {base.network.source}; choose another"
        )
    return [
        make_entry(f"feeder-{number:06d}", base.with_changes("--generate", **_draw(number, seed, base)))
        for number in range(1, n_feeders + 1)
    ]


def _draw(number: int, seed: int, base: Scenario) -> dict[str, Any]:
    """Changes that make one feeder."""
    rng = np.random.default_rng((seed, number))
    n_houses = base.houses.n_houses
    least = -(-n_houses // MOST_HOUSES)
    main, service = CABLES[rng.integers(len(CABLES))]
    network = {
        "n_branches": int(rng.integers(least, max(least, min(MOST_BRANCHES, n_houses)) + 1)),
        "spacing_m": round(float(rng.uniform(*SPACING_M)), 1),
        "main_cable": main,
        "service_cable": service,
        "trafo_std_type": TRAFOS[rng.integers(len(TRAFOS))],
    }
    ratio = round(float(rng.uniform(*PRODUCTION_RATIO)), 2)
    seed_of_all = int(rng.integers(2**31))
    return {
        "seed": seed_of_all,
        "network": network,
        "houses": {"production_ratio": ratio},
        "market": {"feed_in": True},
    }


def name_entries(words: Sequence[str], base: Scenario) -> list[Entry]:
    """Feeders of pandapower's nets whose names contain a word, with a house at every bus that has a load.

    Raises
    ------
    ScenarioError
        If a word is in no name.
    """
    chosen: dict[str, None] = {}
    for word in words:
        found = [name for name in NETS if word and word in name]
        if not found:
            raise ScenarioError(
                f"--named: expected a part of the name of a net of pandapower, got '{word}'{suggest(word, list(NETS))}"
            )
        chosen |= dict.fromkeys(found)
    return [_name_one(name, base) for name in chosen]


def load_simbench(codes: Sequence[str], base: Scenario) -> list[Entry]:
    """Feeders of SimBench grids by their codes, with a house at every bus that has a load.

    Raises
    ------
    ScenarioError
        If a code is none.
    """
    for code in codes:
        if not SIMBENCH_CODE.fullmatch(code):
            raise ScenarioError(f"--simbench: expected a SimBench code like 1-LV-rural1--0-sw, got '{code}'")
    return [_name_one(code, base) for code in dict.fromkeys(codes)]


def _name_one(name: str, base: Scenario) -> Entry:
    changed = with_sources(base, "--named", network={"source": "named", "name": name})
    return make_entry(check_name(name, "network.name"), changed, houses_at_loads=not base.participants)
