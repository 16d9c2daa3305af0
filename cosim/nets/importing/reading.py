"""A process of its own: a library reads the file on standard input and its content is told on standard output.

Run by `cosim.nets.importing.limited`. It may write no file, and has limits of memory and time where the system has
them.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
from typing import Any

MOST_BYTES = 2 * 2**30
"""Of memory."""
MOST_NUMBERS = 2_000_000
"""Of a matrix that is told."""
MAT_FIELDS = ("version", "baseMVA", "bus", "gen", "branch")


def main() -> None:
    """Answer one request: name of the task, seconds of processor time; the file is the input."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints is no part of the answer
    given, task = sys.stdin.buffer.read(), TASKS[sys.argv[1]]
    if task is tell_cgmes:
        write_documents(given)
    limit(int(sys.argv[2]))
    try:
        told = task(given)
    except Exception as reason:  # of any class: libraries let numpy's, zlib's and their own through
        told = {"refused": f"{type(reason).__name__}: {' '.join(str(reason).split())}"}
    answer.write(json.dumps(told))
    answer.close()


def limit(seconds: int) -> None:
    """Take from this process what a file has no need for."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def tell_mat(given: bytes) -> dict[str, Any]:
    """Fields of the struct `mpc` of a MATLAB file: numbers as rows, and names of all others."""
    scipy_io: Any = importlib.import_module("scipy.io")
    numpy: Any = importlib.import_module("numpy")
    held = scipy_io.loadmat(io.BytesIO(given), struct_as_record=False, squeeze_me=False)
    names = sorted(name for name in held if not name.startswith("__"))
    if names != ["mpc"]:
        raise ValueError(f"the variables {', '.join(names)}, and not mpc alone")
    (case,) = held["mpc"].ravel().tolist()
    matrix: dict[str, Any] = {}
    for name in MAT_FIELDS:
        value = getattr(case, name, None)
        if value is None:
            continue
        if name == "version":
            matrix[name] = str(value.ravel()[0])
            continue
        if value.dtype.kind not in "uif" or value.ndim != 2 or value.size > MOST_NUMBERS:
            raise ValueError(f"mpc.{name} that is no matrix of real numbers of a power flow")
        matrix[name] = [list(map(repr, row)) for row in value.astype(numpy.float64).tolist()]  # also Inf and NaN
    others = [name for name in case._fieldnames if name not in MAT_FIELDS]
    return {"fields": matrix, "others": others}


def tell_power_grid_model(given: bytes) -> dict[str, Any]:
    """Solution of an input of power-grid-model by itself: voltages of the nodes, pu and rad."""
    pgm: Any = importlib.import_module("power_grid_model")
    rows = importlib.import_module("power_grid_model.utils").json_deserialize(given)
    importlib.import_module("power_grid_model.validation").assert_valid_input_data(rows, symmetric=True)
    said = ""
    for tolerance in (1e-12, 1e-10, 1e-8):  # rounding on long feeders stays above the tightest
        try:
            node = pgm.PowerGridModel(rows).calculate_power_flow(error_tolerance=tolerance, max_iterations=100)["node"]
            columns = [node[of].tolist() for of in ("id", "u_pu", "u_angle")]
            return {"nodes": list(zip(*columns, strict=True))}
        except Exception as reason:
            said = " ".join(str(reason).split())
    raise ValueError(said)


def tell_cgmes(given: bytes) -> dict[str, Any]:
    """Net of XML documents of CGMES, which lie in this folder; see `write_documents`."""
    pandapower: Any = importlib.import_module("pandapower")
    converter = importlib.import_module("pandapower.converter.cim.cim2pp.from_cim")
    files = sorted(name for name in os.listdir() if name.endswith(".xml"))
    net = converter.from_cim(files, ignore_errors=False, create_tap_controller=False)
    return {"net": pandapower.to_json(net)}


def write_documents(given: bytes) -> None:
    """Write documents into this folder, by names of ours, for a library that reads files only."""
    for k, text in enumerate(json.loads(given)):
        with open(f"{k}.xml", "w", encoding="utf-8", newline="") as file:
            file.write(text)


TASKS = {"mat": tell_mat, "power_grid_model": tell_power_grid_model, "cgmes": tell_cgmes}
NEEDED = {
    "mat": ("scipy", "scipy"),
    "power_grid_model": ("power_grid_model", "gridsettle[phases]"),
    "cgmes": ("lxml", "gridsettle[cim]"),
}
"""Module that a task imports, and what installs it."""


if __name__ == "__main__":
    main()
