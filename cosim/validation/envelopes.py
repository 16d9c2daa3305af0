"""Operating envelopes: the range of power of each customer in which any combination keeps every limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from cosim.delivery.setpoints import at_device, mean_kw
from cosim.interrupts.processes import open_pool
from cosim.interrupts.stop import stop_between_lines
from cosim.results.applied_limits import list_limits
from cosim.scenario.base import AS_IN_NET
from cosim.scenario.model import Scenario
from cosim.validation.phases import Phases, check_model, connect
from cosim.validation.placement import place_participants, with_load_cos_phi
from data.errors import DataError
from data.files import make_table
from data.profiles import Profiles
from grid_models.arrays import Floats, Ints
from grid_models.envelopes.corners import Background
from grid_models.envelopes.customers import Customers
from grid_models.envelopes.names import NamedLimit, name_limits
from grid_models.envelopes.robust import Robust
from grid_models.envelopes.rules import RULES
from grid_models.envelopes.solve import Envelopes, Part, find_envelopes
from grid_models.envelopes.wires import make_wires
from grid_models.feeder.feeder import Feeder
from grid_models.powerflow.limits import Limits

COLUMNS = ("participant", "most_export_kw", "most_import_kw")
"""Columns of a table of customers."""

LARGEST_KW = 1e5

WORTH_PROCESSES = 1000
"""Intervals below which other processes would take longer to begin than to help."""

UNSOLVED = NamedLimit("network", "AC has no solution", "")


@dataclass(frozen=True, eq=False)
class OperatingEnvelopes:
    """Ranges of power of all customers.

    Attributes
    ----------
    table
        One row per interval and customer: time, participant, import_kw (at most 0), export_kw, what stops either
        (element, quantity, phase), rule, and whether the interval's box is robust.
    rule
        Name of the rule.
    failing
        One row per interval that has no clean box with 0 in it: time (None without profiles), the limit that is broken
        most (element, quantity, phase), and the corner of the box where it is.
    notes
        Remarks on the network, and on how the customers were understood.
    limits
        Limits that were applied, with where they come from, as in the summary of a run.
    """

    table: pd.DataFrame
    rule: str
    failing: pd.DataFrame
    notes: tuple[str, ...] = ()
    limits: tuple[dict[str, Any], ...] = ()

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Numbers of intervals and customers, and for exports and imports total, least and fairness; JSON-ready."""
        robust = self.table[self.table["robust"]]
        return {
            "rule": self.rule,
            "intervals": int(self.table["time"].nunique(dropna=False)),
            "customers": int(self.table["participant"].nunique()),
            "not_robust": self.failing.to_dict(orient="records"),
            "export": _summarise(robust, robust["export_kw"]),
            "import": _summarise(robust, -robust["import_kw"]),
            "limits": list(self.limits),
            "notes": list(self.notes),
        }


def _summarise(table: pd.DataFrame, room_kw: pd.Series[float]) -> dict[str, float | None]:
    """Mean total of an interval, least room of all, and Jain's index, 1 where all have the same, of mean rooms."""
    if room_kw.empty:
        return {"mean_total_kw": None, "least_kw": None, "jain": None}
    mean = room_kw.groupby(table["participant"]).mean().to_numpy(np.float64)
    squares = float(mean.size * (mean**2).sum())
    return {
        "mean_total_kw": float(mean.sum()),
        "least_kw": float(room_kw.min()),
        "jain": float(mean.sum() ** 2 / squares) if squares > 0.0 else 1.0,
    }


@stop_between_lines()
def find_operating_envelopes(
    net: Any,
    customers: pd.DataFrame,
    profiles: Profiles | None = None,
    *,
    participants: Mapping[str, str | int] | None = None,
    rule: str = "equal",
    limits: Mapping[str, Any] | None = None,
    head_vm_pu: Sequence[float] = (),
    load_cos_phi: float | Mapping[str, float] | str = AS_IN_NET,
    keep_elements: bool = False,
    model: str = "balanced",
    phases: Phases | None = None,
    zero_sequence: Mapping[str, float] | None = None,
    earthing: Mapping[str, float] | None = None,
    workers: int = 1,
) -> OperatingEnvelopes:
    """Operating envelopes of some participants of a network, robust: any combination of powers inside is clean in AC.

    Parameters
    ----------
    net
        A pandapower net, whose own loads and generators are replaced by the participants.
    customers
        Who takes part: columns participant, most_export_kw and most_import_kw, what connections can do at most. Their
        envelopes bound the power of the whole connection, without reactive power, and contain 0.
    profiles
        Load and generation of all others, by interval; those of customers are part of their envelopes and left out.
        Without any there is one interval.
    participants, limits, load_cos_phi, keep_elements, model, phases, zero_sequence, earthing
        As of `cosim.validation.validate.validate`.
    rule
        equal, proportional (to what connections can do), max_total or max_min.
    head_vm_pu
        Voltages that the external grid may have, pu: lowest and highest; that of the net if left out.
    workers
        Processes that many intervals are shared among, which changes no envelope. With several the calling script needs
        its `if __name__ == "__main__":`, as with all of `multiprocessing`.

    Raises
    ------
    data.errors.DataError, grid_models.errors.GridError, cosim.errors.ScenarioError
        If an input cannot be used.

    Examples
    --------
    >>> import pandapower.networks as pn
    >>> customers = pd.DataFrame({"participant": ["loadbus_1_1"], "most_export_kw": [30.0], "most_import_kw": [30.0]})
    >>> found = find_operating_envelopes(pn.create_kerber_landnetz_kabel_1(), customers)
    >>> found.table[["import_kw", "export_kw", "export_element", "robust"]].to_numpy().tolist()
    [[-30.0, 30.0, 'connection', True]]
    """
    if rule not in RULES:
        raise DataError(f"rule: expected one of {', '.join(RULES)}, got '{rule}'; correct the name")
    of_limits = {name: (limits or {}).get(name) for name in ("max_vuf_percent", "max_neutral_to_earth_v")}
    check_model(model, {"phases": phases, "zero_sequence": zero_sequence, "earthing": earthing, **of_limits})
    asked = Scenario("options", limits=dict(limits or {})).limits.asked()
    chosen = check_customers(customers)
    names = tuple(dict.fromkeys([*chosen["participant"], *(() if profiles is None else profiles.participants)]))
    feeder = place_participants(net, names, participants, keep_elements=keep_elements)
    if model != "balanced":
        feeder = connect(feeder, model, phases or {}, zero_sequence, earthing, participants or ())
    if profiles is not None:
        feeder = with_load_cos_phi(feeder, profiles, load_cos_phi)
    wires = make_wires(feeder, Limits.from_feeder(feeder, **asked), head_vm_pu)
    background = _find_background(feeder, chosen, profiles)
    workers = workers if len(background.p_kw) >= WORTH_PROCESSES else 1
    each = partial(_solve_in_processes, workers) if workers > 1 else map
    found = find_envelopes(wires, _place(feeder, chosen), background, rule, each=each)
    time = np.array(["NaT"], "datetime64[s]") if profiles is None else profiles.time
    table, failing = _make_tables(name_limits(feeder, wires.limits), found, chosen, time)
    failing["corner"] = _name_corners(found, list(dict.fromkeys(head_vm_pu)))
    notes = (*feeder.notes, *_list_notes(chosen, profiles))
    return OperatingEnvelopes(table.assign(rule=rule), rule, failing, notes, tuple(list_limits(wires.limits)))


def _solve_in_processes(workers: int, solve: Callable[[Part], Robust], parts: Sequence[Part]) -> list[Robust]:
    """Solve parts in processes of their own."""
    with open_pool(min(workers, len(parts))) as pool:
        return list(pool.map(solve, parts))


def check_customers(customers: pd.DataFrame, source: str = "customers") -> pd.DataFrame:
    """Customers whose columns are complete and whose numbers are such; `source` names them in messages.

    Raises
    ------
    DataError
        Naming column and row.
    """
    table = make_table(customers, source)
    table.check_columns(COLUMNS, ())
    table = table.with_numbers(COLUMNS[1:])
    names = table.column("participant")
    if customers.empty:
        raise DataError(f"{source}: expected at least one customer, got none; add a row")
    names.check(table.frame["participant"].isna().to_numpy(), "a name", "fill it in")
    names.check(table.frame["participant"].duplicated().to_numpy(), "each customer once", "remove the row")
    made: dict[str, Any] = {"participant": table.frame["participant"].astype(str)}
    for name in COLUMNS[1:]:
        values = table.column(name).to_float()
        wrong = ~((values >= 0.0) & (values <= LARGEST_KW))
        table.column(name).check(wrong, f"a power from 0 to {LARGEST_KW:,.0f} kW", "correct the row")
        made[name] = pd.Series(values, index=table.frame.index)
    return pd.DataFrame(made)


def _place(feeder: Feeder, chosen: pd.DataFrame) -> Customers:
    """The customers, who are the feeder's first participants, at the injections of their panels and loads."""
    m, connections = len(chosen), feeder.connections
    export_at: Ints = np.arange(m) if connections is None else connections.column("pv")[:m]
    import_at: Ints = np.arange(m) if connections is None else connections.column("load")[:m]
    most = (chosen[name].to_numpy(np.float64) for name in COLUMNS[1:])
    return Customers(export_at, import_at, *most)


def _find_background(feeder: Feeder, chosen: pd.DataFrame, profiles: Profiles | None) -> Background:
    """Injections of all who are no customers."""
    if profiles is None:
        none = np.zeros((1, feeder.injection_bus.size))
        return Background(none, none)
    load, pv, q = (np.zeros((profiles.n_intervals, feeder.bus.size)) for _ in range(3))
    place = {name: k for k, name in enumerate(feeder.participants)}
    others = [k for k, name in enumerate(profiles.participants) if name not in set(chosen["participant"])]
    at = [place[profiles.participants[k]] for k in others]
    load[:, at] = mean_kw(profiles.load_wh[:, others], profiles.interval_minutes)
    pv[:, at] = mean_kw(profiles.pv_wh[:, others], profiles.interval_minutes)
    if profiles.load_varh is not None:
        q[:, at] = mean_kw(profiles.load_varh[:, others], profiles.interval_minutes)
    elif feeder.load_tan_phi is not None:
        q = load * np.nan_to_num(feeder.load_tan_phi)
    p_kw: Floats = at_device(pv, "pv", feeder.connections) - at_device(load, "load", feeder.connections)
    return Background(p_kw, -at_device(q, "load", feeder.connections))


def _make_tables(
    named: list[NamedLimit], found: Envelopes, chosen: pd.DataFrame, time: Any
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Table of envelopes without the rule, and that of intervals without any."""
    n, m = found.export_kw.shape
    columns: dict[str, Any] = {
        "time": np.repeat(pd.DatetimeIndex(time).tz_localize("UTC"), m),
        "participant": np.tile(chosen["participant"].to_numpy(), n),
        "import_kw": found.import_kw.ravel(),
        "export_kw": found.export_kw.ravel(),
    }
    for side, limit in (("import", found.import_limit), ("export", found.export_limit)):
        stops = [named[k] for k in limit.ravel().tolist()]
        columns |= {f"{side}_{part}": [getattr(stop, part) for stop in stops] for part in NamedLimit._fields}
    dirty = np.flatnonzero(~found.robust)
    why = [named[k] if k >= 0 else UNSOLVED for k in found.failing_limit[dirty].tolist()]
    failing = pd.DataFrame(why, columns=NamedLimit._fields)
    moments = [None if pd.isna(moment) else str(moment) for moment in pd.DatetimeIndex(time[dirty])]
    failing.insert(0, "time", pd.Series(moments, dtype=object))
    return pd.DataFrame({**columns, "robust": np.repeat(found.robust, m)}), failing


def _name_corners(found: Envelopes, head_vm_pu: Sequence[float]) -> list[str]:
    """The failing corner of each interval that has no clean box: that of all customers at 0, and where the head is."""
    engines = found.failing_engine[~found.robust].tolist()
    return [
        f"no customer acts, head at {head_vm_pu[engine]:g} pu" if head_vm_pu else "no customer acts"
        for engine in engines
    ]


def _list_notes(chosen: pd.DataFrame, profiles: Profiles | None) -> list[str]:
    """What of the profiles is left out."""
    if profiles is None:
        return ["no profiles are given, so that nobody else draws or injects power"]
    both = [name for name in profiles.participants if name in set(chosen["participant"])]
    if not both:
        return []
    return [f"profiles of {len(both)} customers such as '{both[0]}' are left out: their envelopes bound all they do"]
