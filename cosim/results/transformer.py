"""The transformer in a summary: what it is rated for, and the largest flow each way with its time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa


def measure_transformer(net: Any, intervals: pa.Table) -> dict[str, Any]:
    """Section `transformer` of a summary; JSON-ready.

    Parameters
    ----------
    net
        pandapower net.
    intervals
        Columns `time` and `p_grid_kw` of the table of that name; missing where the feeder was off.

    Returns
    -------
    dict
        `rated_kva` of all transformers in service, their `number`, and `largest_import`, `largest_export`, kW and time;
        those that did not occur, and the rating where there is no transformer, are left out.
    """
    trafo = net.trafo[net.trafo["in_service"].astype(bool)]
    found: dict[str, Any] = {"number": len(trafo)}
    if len(trafo):
        found["rated_kva"] = float((trafo["sn_mva"] * trafo["parallel"]).sum()) * 1000.0
    p_kw = np.asarray(intervals["p_grid_kw"].to_numpy(), dtype=np.float64)
    for key, sign in (("largest_import", 1.0), ("largest_export", -1.0)):
        flow = np.where(np.isnan(p_kw), 0.0, sign * p_kw)
        if flow.size and flow.max() > 0.0:
            at = int(flow.argmax())
            found[key] = {"kw": float(flow[at]), "time": intervals["time"][at].as_py().isoformat()}
    return found
