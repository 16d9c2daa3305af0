"""The linear response of a network around an AC solution, whoever computed it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grid_models.kernel import Floats, Ints


@dataclass(frozen=True, eq=False)
class Response:
    """Derivatives by N participants' injections, on B buses, L lines, R transformers, G sources of fixed voltage.

    Attributes
    ----------
    vm_pu, dvm_dp, dvm_dq
        Voltage magnitudes, (B,), and their change, (B, N), pu per kW and per kvar; NaN without supply.
    current_percent, dcurrent_dp, dcurrent_dq
        Complex currents at the ends of branches in per cent of the rating, (E,) with E = 2·(L + R), and their change,
        (E, N): from-ends of lines, then of transformers (high-voltage side), then the other ends in the same order.
        The larger modulus of a branch's two ends is its loading.
    slack_kva, dslack_dp, dslack_dq
        P + jQ out of each source into the network, (G,) kW and kvar, and its change, (G, N).
    """

    vm_pu: Floats
    dvm_dp: Floats
    dvm_dq: Floats
    current_percent: npt.NDArray[np.complex128]
    dcurrent_dp: npt.NDArray[np.complex128]
    dcurrent_dq: npt.NDArray[np.complex128]
    slack_kva: npt.NDArray[np.complex128]
    dslack_dp: npt.NDArray[np.complex128]
    dslack_dq: npt.NDArray[np.complex128]

    @property
    def branch_of_end(self) -> Ints:
        """(E,) position of each end's branch, lines first, then transformers."""
        return np.asarray(np.tile(np.arange(self.current_percent.size // 2), 2))
