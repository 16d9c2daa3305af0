"""Buses and branches as entities of other simulators, and how what became of an interval is read for an entity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cosim.coupling import names
from cosim.coupling.stepped import SteppedRun

COMMUNITY, MARKET = "Community", "Market"


def list_network(stepped: SteppedRun) -> list[Any]:
    """Buses, and lines and transformers as branches, as children of a community."""
    net, labels = stepped.case.feeder.net, stepped.case.feeder.labels
    buses = [
        {
            "eid": f"Bus-{index}",
            "type": "Bus",
            "rel": [],
            "extra_info": {"name": name, "index": int(index), "nominal voltage [kV]": float(net.bus.vn_kv.at[index])},
        }
        for index, name in zip(*labels["bus"], strict=True)
    ]
    branches: list[Any] = []
    for table, ends in (("line", ("from_bus", "to_bus")), ("trafo", ("hv_bus", "lv_bus"))):
        for index, name in zip(*labels[table], strict=True):
            rel = [f"Bus-{int(net[table][end].at[index])}" for end in ends]
            info = {"name": name, "element": table, "index": int(index)}
            branches.append({"eid": f"Branch-{len(branches)}", "type": "Branch", "rel": rel, "extra_info": info})
    return buses + branches


def read_voltage(vm_pu: Any, name: str) -> float:
    """Voltage of a bus, its lowest phase's where there are three, or that of a phase."""
    if name == names.VOLTAGE:
        return float(np.min(vm_pu))
    return float(vm_pu[names.OF_PHASES.index(name) if vm_pu.size > 1 else 0])


def _kwh(wh: Any) -> float:
    return float(wh) / 1000.0


def _eur(ueur: int) -> float:
    return ueur / names.UEUR_PER_EUR


_HOUSE: dict[str, Callable[[Any, int], Any]] = {
    names.POWER: lambda last, k: -float(last.p_kw[k]) / 1000.0,
    names.TRADED: lambda last, k: _kwh(last.bought_wh[k] - last.sold_wh[k]),
    names.CURTAILED: lambda last, k: _kwh(last.curtailed_wh[k]),
    names.SHED: lambda last, k: _kwh(last.shed_wh[k]),
}
_WHOLE: dict[str, Callable[[Any, int], Any]] = {
    names.PRICE: lambda last, k: _eur(last.price_ueur_per_kwh),
    names.TRADED: lambda last, k: _kwh(last.sold_wh.sum()),
    names.POWER: lambda last, k: last.p_grid_kw / 1000.0,
    names.CURTAILED: lambda last, k: _kwh(last.curtailed_wh.sum()),
    names.SHED: lambda last, k: _kwh(last.shed_wh.sum()),
    names.OUTCOME: lambda last, k: last.outcome,
}
READ: dict[tuple[str, str], Callable[[Any, int], Any]] = {
    **{(model, name): read for model in ("House", "Trader") for name, read in _HOUSE.items()},
    **{(model, name): read for model in (COMMUNITY, MARKET) for name, read in _WHOLE.items()},
    ("Branch", names.LOADING): lambda last, k: float(last.loading_percent[k]),
}
"""How an attribute of a model is read from what became of an interval, for the k-th entity."""
