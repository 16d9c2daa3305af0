"""The linear response of a network around an AC solution, however it was computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from grid_models.arrays import Complex, Floats, Ints

Rows = Ints | slice
ALL = slice(None)


class InjectionChange(Protocol):
    """Derivatives by the active (per kW) or reactive (per kvar) injection of N participants.

    They are computed on request, and only for the buses and ends asked for.
    """

    def vm_pu(self, buses: Rows = ALL) -> Floats:
        """Voltage magnitudes of b buses, (b, N) pu per kW; NaN without supply."""

    def current_percent(self, ends: Rows = ALL) -> Complex:
        """Complex currents at e branch ends, (e, N) per cent of the rating per kW."""

    def along(self, power: Floats) -> tuple[Floats, Complex]:
        """What all injections together, (N,) kW or kvar, change: voltages (B,) pu and currents (E,) per cent."""

    def slack_kva(self) -> Complex:
        """P + jQ out of each source into the network, (G, N) kVA per kW."""


@dataclass(frozen=True, eq=False)
class Response:
    """State and derivatives by N participants' injections; B buses, L lines, R transformers, G sources of voltage.

    Attributes
    ----------
    vm_pu
        Voltage magnitudes, (B,); NaN without supply.
    current_percent
        Complex currents at the ends of branches in per cent of the rating, (E,) with E = 2·(L + R): from-ends of lines,
        then of transformers (high-voltage side), then the other ends in the same order. The larger modulus of a
        branch's two ends is its loading. In an unbalanced model these are the conductors' currents, and behind them
        the unbalance of each bus (`grid_models.response.phase_sensitivity`).
    slack_kva
        P + jQ out of each source into the network, (G,) kW and kvar.
    by_p, by_q
        Derivatives by active and by reactive injections.
    """

    vm_pu: Floats
    current_percent: Complex
    slack_kva: Complex
    by_p: InjectionChange
    by_q: InjectionChange
