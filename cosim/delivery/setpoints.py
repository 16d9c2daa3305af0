"""From settled energies to what each device and each bus does: the one place where Wh become kW."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from grid_models.feeder.connection import Connections
from market.compiled import compiled
from market.exchanges import Rows

Kw = npt.NDArray[np.float64]


@compiled
def injection_wh(meters: Rows) -> npt.NDArray[np.int64]:
    """Energy that each house injects into the network, (K, N) from (K, N) meter rows, Wh; negative where it draws."""
    n_intervals, n = meters.shape
    wh = np.empty((n_intervals, n), np.int64)
    for k in range(n_intervals):
        for i in range(n):
            m = meters[k, i]
            generated = np.int64(m.pv_wh) - m.spilled_wh + m.fuel_cell_wh + m.discharge_wh
            wh[k, i] = generated - (np.int64(m.load_wh) - m.shed_wh) - m.charge_wh
    return wh


def mean_kw(energy_wh: npt.NDArray[np.int64], interval_minutes: int) -> Kw:
    """Mean power of an energy over an interval, kW.

    Examples
    --------
    >>> mean_kw(np.array([500]), 15).tolist()
    [2.0]
    """
    return np.asarray(energy_wh * (60.0 / interval_minutes / 1000.0), dtype=np.float64)


def injection_kw(meters: Rows, interval_minutes: int, connections: Connections | None = None) -> Kw:
    """Mean active injections, positive into the network.

    Parameters
    ----------
    meters
        (K, N) meter rows.
    interval_minutes
        Length of an interval.
    connections
        Phases of the houses' devices; None in the balanced model.

    Returns
    -------
    ndarray
        kW, one injection a house, (K, N), or one a house and phase, (K, C).
    """
    if connections is None:
        return mean_kw(injection_wh(meters), interval_minutes)
    return spread_devices(device_wh(meters), interval_minutes, connections)


def spread_devices(
    energy_wh: Mapping[str, npt.NDArray[np.int64]], interval_minutes: int, connections: Connections | None
) -> Kw:
    """Mean injections, (…, C) kW, of energies that the houses' devices inject, (…, N) Wh each."""
    if connections is None:
        return mean_kw(np.sum(list(energy_wh.values()), axis=0), interval_minutes)
    shape = next(iter(energy_wh.values())).shape
    kw = np.zeros((*shape[:-1], connections.house.size))
    for device, wh in energy_wh.items():
        kw[..., connections.column(device)] += mean_kw(wh, interval_minutes)
    return kw


def device_wh(meters: Rows) -> dict[str, npt.NDArray[np.int64]]:
    """Energy that each kind of device injects, in the shape of the meters, Wh; what is spilled is panels' first.

    A meter's `reason` is the part of the load that cars were charged with, which load that is shed never has.
    """
    cars = meters["reason"].astype(np.int64)
    read = {name: meters[name].astype(np.int64) for name in ("load_wh", "shed_wh", "pv_wh", "fuel_cell_wh")}
    spilled = meters["spilled_wh"].astype(np.int64)
    return {
        "load": read["shed_wh"] - read["load_wh"] + cars,
        "ev": -cars,
        "pv": np.maximum(read["pv_wh"] - spilled, 0),
        "battery": meters["discharge_wh"].astype(np.int64) - meters["charge_wh"],
        "fuel_cell": read["fuel_cell_wh"] - np.maximum(spilled - read["pv_wh"], 0),
    }


def at_device(values: Kw, device: str, connections: Connections | None) -> Kw:
    """Values of the houses, (…, N), as values of the injections by one of their devices, (…, C); 0 for the others."""
    if connections is None:
        return values
    spread = np.zeros((*values.shape[:-1], connections.house.size))
    spread[..., connections.column(device)] = values
    return spread


def metered_injections(
    meters: Rows, interval_minutes: int, connections: Connections | None, load_var: npt.NDArray[np.int64] | None
) -> tuple[Kw, Kw]:
    """Active and reactive injections of meters as they are recorded, (K, C) kW and kvar.

    A meter has the reactive power of loads and inverters in one number: what loads do not draw is of the inverters.

    Parameters
    ----------
    meters, interval_minutes, connections
        As in `injection_kw`.
    load_var
        What loads draw of it, (K, N) var; None where they draw none.
    """
    p_kw, q_kvar = injection_kw(meters, interval_minutes, connections), meters["q_var"] / 1000.0
    if connections is None:
        return p_kw, q_kvar
    of_loads = np.zeros(meters.shape) if load_var is None else load_var / -1000.0
    return p_kw, at_device(of_loads, "load", connections) + at_device(q_kvar - of_loads, "pv", connections)
