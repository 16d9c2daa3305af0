"""Facts for the ledger's first block: the rules by which a run is cleared, priced, curtailed and judged."""

from __future__ import annotations

from hashlib import sha256

import numpy as np

from cosim.case.tariff import list_tariff_facts
from cosim.curtailment.versions import CURTAILMENT_VERSIONS, WAITING_VERSIONS
from cosim.scenario.model import Scenario
from grid_models.powerflow.limits import DEFAULTS, Limits
from market.exchanges import UEUR_PER_EUR
from market.ledger.books.rules import make_rule_parameters
from market.rules import Rules
from market.versions import MARKET_VERSIONS


def list_facts(scenario: Scenario, rules: Rules, limits: Limits) -> dict[str, int | str | bytes]:
    """Parameters beyond those that every ledger has, by name; voltages in 1e-6 pu, loadings and unbalance in 1e-4 %.

    Parameters
    ----------
    scenario, rules
        What is run, and its market's rules in integers.
    limits
        Limits of every element as they are applied.
    """
    asked = {**DEFAULTS, **{key: value for key, value in scenario.limits.asked().items() if value is not None}}
    waiting = WAITING_VERSIONS if scenario.ev.n_cars or scenario.heat_pump.n_heat_pumps else {}
    return {
        **make_rule_parameters(rules),
        **list_tariff_facts(scenario),
        "compensation": round(scenario.curtailment.compensation_eur_per_kwh * UEUR_PER_EUR),
        "min_vm_upu": round(asked["min_vm_pu"] * 1e6),
        "max_vm_upu": round(asked["max_vm_pu"] * 1e6),
        "max_loading_e4": round(asked["max_loading_percent"] * 1e4),
        **({"max_vuf_e4": round(float(limits.max_vuf_percent.max()) * 1e4)} if limits.max_vuf_percent.size else {}),
        "limits_sha256": digest_limits(limits),
        "curtailment": scenario.curtailment.rule,
        "rules_sha256": digest_versions({**MARKET_VERSIONS, **CURTAILMENT_VERSIONS, **waiting}),
    }


def digest_limits(limits: Limits) -> bytes:
    """SHA-256 over the applied limits as little-endian int64.

    First the lowest and then the highest voltage of every bus in 1e-6 pu, then the largest loading of every line and of
    every transformer in 1e-4 %, each in the order of the net's table. In an unbalanced model each conductor has its
    own, and the largest unbalance of every bus follows in 1e-4 %, with four wires the largest voltage of every neutral
    in mV.
    """
    columns = (
        (limits.min_vm_pu, 1e6),
        (limits.max_vm_pu, 1e6),
        (limits.max_line_loading_percent, 1e4),
        (limits.max_trafo_loading_percent, 1e4),
        (limits.max_vuf_percent, 1e4),
        (limits.max_neutral_v, 1e3),
    )
    return sha256(b"".join(np.rint(values * scale).astype("<i8").tobytes() for values, scale in columns)).digest()


def digest_versions(versions: dict[str, int]) -> bytes:
    r"""SHA-256 over names and versions of rules, each `name=version` on a line, in the order of the names.

    Examples
    --------
    >>> digest_versions({"b": 1, "a": 2}) == sha256(b"a=2\nb=1\n").digest()
    True
    """
    return sha256("".join(f"{name}={versions[name]}\n" for name in sorted(versions)).encode()).digest()
