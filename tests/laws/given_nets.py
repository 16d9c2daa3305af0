"""Small nets with every kind of element that pandapower has, as strangers' files hold them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandapower as pp
import pandas as pd
from pandapower.toolbox import reindex_buses, reindex_elements

N_LOW = 6
"""Low-voltage buses, in a row behind the transformer."""


class Maker:
    """A net under way; `low` are its low-voltage buses from the transformer to the end."""

    def __init__(self, rng: random.Random, sn_mva: float, f_hz: float) -> None:
        self.rng = rng
        self.net = pp.create_empty_network(sn_mva=sn_mva, f_hz=f_hz)
        self.high = pp.create_bus(self.net, 110.0, name="high")
        self.medium = pp.create_bus(self.net, 20.0, name="medium")
        self.low = [pp.create_bus(self.net, 0.4, name=f"house {k}") for k in range(N_LOW)]
        pp.create_ext_grid(self.net, self.medium, vm_pu=rng.uniform(0.98, 1.03), va_degree=rng.choice([0.0, 30.0]))
        self.trafo = pp.create_transformer(self.net, self.medium, self.low[0], "0.25 MVA 20/0.4 kV")
        for start, end in zip(self.low, self.low[1:], strict=False):
            pp.create_line(self.net, start, end, rng.uniform(0.02, 0.2), "NAYY 4x150 SE")

    def place(self) -> int:
        return self.rng.choice(self.low[1:])

    def load(self, **values: float) -> None:
        p = self.rng.uniform(0.001, 0.012)
        pp.create_load(self.net, self.place(), p_mw=p, q_mvar=p * self.rng.uniform(-0.3, 0.5), **values)


def _zip_loads(make: Maker, part: str) -> None:
    for _ in range(2):
        p, q = make.rng.uniform(0, 100), make.rng.uniform(0, 100)
        make.load(**{f"const_{part}_p_percent": p, f"const_{part}_q_percent": q})
    make.load()


def _sgen(make: Maker) -> None:
    pp.create_sgen(make.net, make.place(), p_mw=0.01, q_mvar=-0.002, scaling=make.rng.uniform(0.2, 1.5))


def _gen(make: Maker) -> None:
    pp.create_gen(make.net, make.place(), p_mw=0.01, vm_pu=make.rng.uniform(0.99, 1.02))


def _slack_gen(make: Maker) -> None:
    pp.create_gen(make.net, make.medium, p_mw=0.0, vm_pu=float(make.net.ext_grid.vm_pu.iloc[0]), slack=True)


def _motor(make: Maker) -> None:
    pp.create_motor(make.net, make.place(), pn_mech_mw=0.006, cos_phi=0.85, efficiency_percent=92, loading_percent=80)


def _storage(make: Maker) -> None:
    pp.create_storage(make.net, make.place(), p_mw=-0.004, max_e_mwh=0.01, q_mvar=0.001, scaling=0.7)


def _shunt(make: Maker) -> None:
    pp.create_shunt(make.net, make.place(), q_mvar=-0.004, p_mw=0.001, step=2, max_step=3, vn_kv=0.41)


def _ward(make: Maker) -> None:
    pp.create_ward(make.net, make.place(), 0.003, 0.001, 0.002, 0.001)


def _xward(make: Maker) -> None:
    pp.create_xward(make.net, make.place(), 0.003, 0.001, 0.002, 0.001, 0.2, 0.4, 1.0)


def _tap(make: Maker, kind: str | None) -> None:
    trafo, rng = make.net.trafo, make.rng
    trafo["tap_changer_type"] = trafo["tap_changer_type"].astype(object)
    columns = ["tap_changer_type", "tap_side", "tap_neutral", "tap_min", "tap_max", "tap_step_percent", "tap_pos"]
    trafo.loc[make.trafo, columns] = [kind, rng.choice(["hv", "lv"]), 0, -4, 4, 2.5, rng.choice([-2, 1, 3])]
    degree = {"Ideal": 2.0, "Symmetrical": 90.0}.get(str(kind), rng.choice([0.0, 5.0]))
    trafo.loc[make.trafo, "tap_step_degree"] = degree
    if kind == "Ideal":
        trafo.loc[make.trafo, "tap_step_percent"] = np.nan


def _old_tap(make: Maker) -> None:
    _tap(make, None)
    make.net.trafo = make.net.trafo.drop(columns=["tap_changer_type", "tap_dependency_table"], errors="ignore")


def _no_dependency(make: Maker) -> None:
    _tap(make, "Ratio")
    make.net.trafo = make.net.trafo.drop(columns=["tap_dependency_table"], errors="ignore")


def _no_neutral(make: Maker) -> None:
    _tap(make, "Ratio")
    make.net.trafo["tap_neutral"] = np.nan


def _tap_table(make: Maker) -> None:
    _tap(make, "Tabular")
    make.net["trafo_characteristic_table"] = pd.DataFrame(
        {
            "id_characteristic": [0] * 3,
            "step": [-2, 1, 3],
            "voltage_ratio": [0.95, 1.02, 1.06],
            "angle_deg": [0.0, 0.5, 1.0],
            "vk_percent": [4.1, 4.0, 3.9],
            "vkr_percent": [1.3, 1.2, 1.1],
        }
    )
    make.net.trafo["tap_dependency_table"] = True
    make.net.trafo["id_characteristic_table"] = pd.Series([0] * len(make.net.trafo), dtype="Int64")


def _second_trafo(make: Maker) -> None:
    pp.create_transformer(make.net, make.medium, make.low[0], "0.4 MVA 20/0.4 kV", parallel=2, df=0.8)
    make.net.trafo["shift_degree"] = make.net.trafo["shift_degree"].iloc[0]


def _trafo3w(make: Maker) -> None:
    tertiary = pp.create_bus(make.net, 10.0)
    make.net.ext_grid["bus"] = make.high
    pp.create_transformer3w(make.net, make.high, make.medium, tertiary, "63/25/38 MVA 110/20/10 kV", tap_pos=1)
    pp.create_load(make.net, tertiary, p_mw=5.0, q_mvar=1.0)


def _impedance(make: Maker) -> None:
    end = pp.create_bus(make.net, 0.4)
    pp.create_impedance(make.net, make.place(), end, 0.01, 0.02, 0.1, rtf_pu=0.012, xtf_pu=0.02)
    pp.create_load(make.net, end, p_mw=0.004)


def _switches(make: Maker) -> None:
    for z_ohm, ampere in ((0.0, np.nan), (0.01, 0.2)):
        end = pp.create_bus(make.net, 0.4)
        pp.create_switch(make.net, make.place(), end, "b", closed=True, z_ohm=z_ohm, in_ka=ampere)
        pp.create_load(make.net, end, p_mw=0.003, q_mvar=0.001)
    pp.create_line(make.net, make.low[1], make.low[-1], 0.1, "NAYY 4x50 SE")
    line = make.net.line.index[-1]
    pp.create_switch(make.net, make.low[-1], line, "l", closed=False, in_ka=0.1)
    pp.create_switch(make.net, make.low[0], make.trafo, "t", closed=True)


def _mesh(make: Maker) -> None:
    pp.create_line(make.net, make.low[1], make.low[-1], 0.1, "NAYY 4x50 SE", parallel=2, df=0.7)


def _dcline(make: Maker) -> None:
    values = {"p_mw": 0.004, "loss_percent": 1.5, "loss_mw": 0.0002, "vm_from_pu": 1.0, "vm_to_pu": 1.0}
    pp.create_dcline(make.net, make.low[1], make.low[4], **values)


def _asymmetric(make: Maker) -> None:
    pp.create_asymmetric_load(make.net, make.place(), p_a_mw=0.004, q_a_mvar=0.001, p_b_mw=0.001, scaling=1.2)
    pp.create_asymmetric_sgen(make.net, make.place(), p_c_mw=0.003)


def _far_bus(make: Maker) -> int:
    """A further bus at medium voltage; pandapower starts nets with FACTS flat, so no transformer may turn the angle."""
    far = pp.create_bus(make.net, 20.0)
    pp.create_line(make.net, make.medium, far, 10.0, "NA2XS2Y 1x95 RM/25 12/20 kV")
    pp.create_load(make.net, far, p_mw=1.0, q_mvar=0.3)
    make.net.trafo["shift_degree"] = make.net.ext_grid["va_degree"] = 0.0
    return far


def _svc(make: Maker) -> None:
    far, controls = _far_bus(make), make.rng.random() < 0.5
    pp.create_svc(make.net, far, 10.0, -50.0, 0.99, thyristor_firing_angle_degree=145.0, controllable=controls)


def _ssc(make: Maker) -> None:
    pp.create_ssc(make.net, _far_bus(make), 0.0, 5.0, set_vm_pu=0.995, controllable=make.rng.random() < 0.5)


def _tcsc(make: Maker) -> None:
    far, end = _far_bus(make), pp.create_bus(make.net, 20.0)
    pp.create_tcsc(make.net, make.medium, end, 1.0, -5.0, -0.5, thyristor_firing_angle_degree=160.0)
    pp.create_line(make.net, end, far, 5.0, "NA2XS2Y 1x95 RM/25 12/20 kV")


def _second_grid(make: Maker) -> None:
    pp.create_ext_grid(make.net, make.low[-1], vm_pu=1.0, va_degree=float(make.net.ext_grid.va_degree.iloc[0]) - 150.0)


def _out_of_service(make: Maker) -> None:
    make.load(in_service=False, const_z_p_percent=50.0)
    pp.create_line(make.net, make.low[1], make.low[3], 0.1, "NAYY 4x50 SE", in_service=False)
    pp.create_line(make.net, make.low[2], pp.create_bus(make.net, 0.4, in_service=False), 0.1, "NAYY 4x50 SE")
    pp.create_bus(make.net, 0.4)
    pp.create_gen(make.net, make.place(), p_mw=0.01, in_service=False)
    pp.create_ward(make.net, make.place(), 0.003, 0.001, 0.002, 0.001, in_service=False)


def _temperature(make: Maker) -> None:
    make.net.line["alpha"], make.net.line["temperature_degree_celsius"] = 4.03e-3, 70.0
    make.net.user_pf_options["consider_line_temperature"] = True


def _option(make: Maker, **options: Any) -> None:
    make.net.user_pf_options.update(options)


def _shuffled(make: Maker) -> None:
    for table in ("load", "sgen", "line", "trafo", "switch", "gen"):
        old = make.net[table].index.tolist()
        reindex_elements(make.net, table, dict(zip(old, make.rng.sample(range(500), len(old)), strict=True)))
    old = make.net.bus.index.tolist()
    new = make.rng.sample(range(500), len(old))
    lookup = dict(zip(old, new, strict=True))
    reindex_buses(make.net, lookup)
    for table, columns in (("svc", ["bus"]), ("ssc", ["bus"]), ("tcsc", ["from_bus", "to_bus"])):
        make.net[table][columns] = make.net[table][columns].replace(lookup)  # reindex_buses leaves these out
    make.net.bus = make.net.bus.sample(frac=1.0, random_state=make.rng.randrange(1000))
    make.net.line = make.net.line.sample(frac=1.0, random_state=make.rng.randrange(1000))


KINDS: dict[str, Callable[[Maker], None]] = {
    "loads": lambda make: [make.load(scaling=0.5), make.load(scaling=1.4), None][-1],
    "constant impedance": lambda make: _zip_loads(make, "z"),
    "constant current": lambda make: _zip_loads(make, "i"),
    "sgen": _sgen,
    "gen": _gen,
    "slack gen": _slack_gen,
    "motor": _motor,
    "storage": _storage,
    "shunt": _shunt,
    "ward": _ward,
    "xward": _xward,
    "ratio taps": lambda make: _tap(make, "Ratio"),
    "ideal taps": lambda make: _tap(make, "Ideal"),
    "symmetrical taps": lambda make: _tap(make, "Symmetrical"),
    "taps without a type": lambda make: _tap(make, None),
    "no neutral tap": _no_neutral,
    "tap table": _tap_table,
    "second transformer": _second_trafo,
    "three windings": _trafo3w,
    "impedance": _impedance,
    "switches": _switches,
    "mesh": _mesh,
    "dcline": _dcline,
    "asymmetric": _asymmetric,
    "svc": _svc,
    "ssc": _ssc,
    "tcsc": _tcsc,
    "second grid": _second_grid,
    "out of service": _out_of_service,
    "line temperature": _temperature,
    "no angles": lambda make: _option(make, calculate_voltage_angles=False),
    "loading by power": lambda make: _option(make, trafo_loading="power"),
    "pi model": lambda make: _option(make, trafo_model="pi"),
    "constant loads": lambda make: _option(make, voltage_depend_loads=False),
    "own tolerance": lambda make: _option(make, tolerance_mva=1e-3, max_iteration=40, numba=False),
    "start at results": lambda make: _option(make, init="results"),
    "another solver": lambda make: _option(make, algorithm="iwamoto_nr"),
    "switch resistance": lambda make: _option(make, switch_rx_ratio=0.5),
    "no dependency column": _no_dependency,
    "old tap columns": _old_tap,
}
"""What a net may hold beside a grid, a transformer and a row of houses. Shuffled indices come on top."""


def make_net(seed: int, kinds: Iterable[str], *, sn_mva: float, f_hz: float, shuffled: bool) -> Any:
    """Net with these kinds of elements, numbers drawn by `seed`."""
    make = Maker(random.Random(seed), sn_mva, f_hz)
    for kind in sorted(kinds, key=list(KINDS).index):
        KINDS[kind](make)
    if shuffled:
        _shuffled(make)
    return make.net
