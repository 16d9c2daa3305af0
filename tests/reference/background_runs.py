"""Runs on nets with elements of their own, and what these drew and fed by `pandapower.runpp` alone."""

from __future__ import annotations

import random
import warnings
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandapower as pp
import pandas as pd
from pandapower.topology import unsupplied_buses

from cosim import Result, Scenario, run

BUSES = ("LV", "H1", "H2", "H3", "H4")
HOUSES = {"ann": "H1", "bob": "H2", "cat": "H4"}
DAY = "2017-06-01"


def make_net(*, meshed: bool = False) -> Any:
    """MV ── LV ── H1 ── H2 ── H3 ── H4; `meshed` closes the ring from H4 to LV."""
    net = pp.create_empty_network()
    pp.create_bus(net, 20.0, name="MV")
    low = [pp.create_bus(net, 0.4, name=name) for name in BUSES]
    pp.create_ext_grid(net, 0)
    pp.create_transformer(net, 0, low[0], "0.25 MVA 20/0.4 kV", name="T1")
    ends = [*pairwise(low), *([(low[-1], low[0])] if meshed else [])]
    for k, (start, end) in enumerate(ends):
        pp.create_line(net, start, end, 0.05, "NAYY 4x150 SE", name=f"line {k}")
    return net


def bus(net: Any, name: str) -> int:
    """Index of the bus of a name."""
    return int(net.bus.index[net.bus.name == name][0])


def add_elements(net: Any, rng: random.Random) -> None:
    """Some loads, generators, shunts, wards, motors and storages at random low-voltage buses."""

    def at() -> int:
        return bus(net, rng.choice(BUSES))

    for _ in range(rng.randint(0, 2)):
        pp.create_load(
            net, at(), p_mw=rng.uniform(0.0, 0.004), q_mvar=rng.uniform(0, 0.001), scaling=rng.uniform(0.5, 1.5)
        )
    for _ in range(rng.randint(0, 2)):
        pp.create_sgen(net, at(), p_mw=rng.uniform(0.0, 0.012), scaling=rng.uniform(0.5, 1.5))
    for _ in range(rng.randint(0, 1)):
        pp.create_shunt(net, at(), q_mvar=rng.uniform(-0.002, 0.002), p_mw=rng.uniform(0, 0.0007), step=2, max_step=2)
    if rng.random() < 0.3:
        pp.create_ward(net, at(), rng.uniform(0, 0.001), 0.0002, rng.uniform(0, 0.001), 0.0003)
    if rng.random() < 0.3:
        pp.create_motor(net, at(), pn_mech_mw=0.0011, cos_phi=0.9, efficiency_percent=91, loading_percent=83)
    if rng.random() < 0.3:
        pp.create_storage(net, at(), p_mw=rng.uniform(-0.002, 0.002), max_e_mwh=0.01, scaling=0.7)


def make_scenario(folder: Path, net: Any, hours: int = 6, **sections: Any) -> Scenario:
    """Scenario of the houses on a net with its own elements kept, all files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pp.to_json(net, str(folder / "net.json"))
    places = {**HOUSES, **({"community": "LV"} if sections.get("community", {}).get("enabled") else {})}
    lines = ["participant,bus", *(f"{who},{where}" for who, where in places.items())]
    (folder / "participants.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    times = pd.date_range(f"{DAY}T08:00Z", periods=hours, freq="h")
    rows = [
        f"{time:%Y-%m-%dT%H:%MZ},{who},{0.4 + 0.3 * k},{pv},0.21"
        for n, time in enumerate(times)
        for k, (who, pv) in enumerate(zip(HOUSES, (1.5 + 0.4 * n, 0.0, 0.9), strict=True))
    ]
    text = "\n".join(["time,participant,load_kwh,pv_kwh,price_eur_per_kwh", *rows]) + "\n"
    (folder / "profiles.csv").write_text(text, encoding="utf-8")
    files = {"file": folder / "net.json", "participants": folder / "participants.csv"}
    return Scenario().with_changes(
        horizon={"start": f"{DAY}T08:00:00Z", "hours": hours},
        profiles={"source": "table", "file": folder / "profiles.csv"},
        network={"source": "file", **files, "keep_elements": True, "shared_bus": True},
        **sections,
    )


def cut_grid(first: int, hours: int) -> dict[str, Any]:
    """Outage of the grid from an interval on."""
    return {"kind": "outage", "start": f"{DAY}T{8 + first:02}:00:00Z", "hours": hours, "grid": True}


def run_on(folder: Path, net: Any, **options: Any) -> Result:
    """Run the houses on a net."""
    return run(make_scenario(folder, net, **options), folder / "out")


class Solved(NamedTuple):
    """An interval solved by `runpp`: what own elements draw and feed, losses, power of the grid and of formers, Wh."""

    load: float
    generation: float
    losses: float
    grid: float
    formers: float


def list_formers(result: Result, net: Any, time: Any) -> list[int]:
    """Buses of the grid formers of an interval."""
    rows = result.table("outage_intervals").to_pandas()
    places = {**HOUSES, "community": "LV"}
    return [bus(net, places[str(name)]) for name in rows["former"][rows["time"] == time] if name]


def open_net(result: Result, net: Any, time: Any) -> Any:
    """The net with what the outages of a run leave of it at a time; an island waits an hour to be joined again."""
    net = deepcopy(net)
    rows = result.table("outage_intervals").to_pandas()
    waits = bool(rows["grid_ready"][rows["time"] == time].any())
    for event in (event.model_dump() for event in result.scenario.events):
        begin = pd.Timestamp(event["start"])
        if not begin <= time < begin + pd.Timedelta(hours=event["hours"] + waits):
            continue
        net.line.loc[net.line.name.isin(event.get("lines", [])), "in_service"] = False
        if event.get("grid"):
            net.ext_grid["in_service"], net.trafo["in_service"] = False, False
    return net


def measure_own_mw(net: Any) -> tuple[float, float]:
    """What elements of a solved net draw and feed, MW; participants are no elements of it."""
    ours = ~net.sgen.name.fillna("").astype(str).str.startswith("house ")
    powers = [-net.res_load.p_mw, net.res_sgen.p_mw[ours], -net.res_shunt.p_mw, -net.res_ward.p_mw]
    powers += [-net.res_motor.p_mw, -net.res_storage.p_mw]
    injected = pd.concat(powers).fillna(0.0)
    return float(-injected[injected < 0].sum()), float(injected[injected > 0].sum())


def solve_naively(result: Result, net: Any, time: Any, off: bool = False, share: float = 1.0) -> Solved:
    """An interval of a run by `runpp`: houses as metered, formers as slack generators, own elements as given.

    Parameters
    ----------
    result, net, time
        The run, its net without participants, and an interval.
    off, share
        Whether own loads of islands are off, and the share of their generation that is used.
    """
    net, formers = open_net(result, net, time), list_formers(result, net, time)
    on_grid = set(net.bus.index) - set(unsupplied_buses(net))
    for table, column in (
        ("load", "p_mw"),
        ("sgen", "p_mw"),
        ("storage", "p_mw"),
        ("shunt", ""),
        ("ward", ""),
        ("motor", ""),
    ):
        frame = net[table]
        island = ~frame.bus.isin(on_grid)
        feeds = (frame[column] > 0) == (table == "sgen") if column else pd.Series(False, frame.index)
        if column:
            frame.loc[island & feeds, "scaling"] *= share
        frame.loc[island & ~feeds, "in_service"] &= not off
    for at in formers:
        pp.create_gen(net, at, p_mw=0.0, vm_pu=1.0, slack=True)
    houses = result.houses.loc[time]
    for row in houses.itertuples():
        wh = (
            row.pv_wh
            - row.spilled_wh
            + row.fuel_cell_wh
            + row.discharge_wh
            - (row.load_wh - row.shed_wh)
            - row.charge_wh
        )
        where = {**HOUSES, "community": "LV"}[str(row.house)]
        pp.create_sgen(net, bus(net, where), p_mw=wh / 1e6, q_mvar=row.q_var / 1e6, name=f"house {row.house}")
    if not formers and not net.ext_grid.in_service.any():
        return Solved(0.0, 0.0, 0.0, 0.0, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pp.runpp(net, tolerance_mva=1e-10, calculate_voltage_angles=True, numba=False)
    load, generation = measure_own_mw(net)
    losses = float(net.res_line.pl_mw.fillna(0).sum() + net.res_trafo.pl_mw.fillna(0).sum())
    grid, by_formers = (float(np.nansum(frame.p_mw)) for frame in (net.res_ext_grid, net.res_gen))
    return Solved(*(1e6 * mw for mw in (load, generation, losses, grid, by_formers)))


def find_agreeing(result: Result, net: Any, time: Any) -> list[Solved]:
    """Naive solutions of an interval, own loads of islands on or off, that agree with the run's energy balance.

    Each figure within the Wh to which it is rounded; nothing is left for the formers beyond that.
    """
    row = result.energy_balance.loc[time]
    whole, none = solve_naively(result, net, time), solve_naively(result, net, time, share=0.0)
    turned = whole.generation - none.generation
    share = (row["background_generation_wh"] - none.generation) / turned if turned > 0.5 else 1.0
    found = []
    for off in (False, True):
        solved = solve_naively(result, net, time, off=off, share=share)
        wh = (
            (solved.load, row.get("background_load_wh", 0), 1.5),
            (solved.generation, row.get("background_generation_wh", 0), 1.5),
            (solved.losses, row["losses_wh"], 2.0),
            (solved.grid, row["from_grid_wh"] - row["to_grid_wh"], 3.0),
            (solved.formers, 0.0, 1.0),
        )
        if all(abs(a - b) <= within for a, b, within in wh):
            found.append(solved)
    return found
