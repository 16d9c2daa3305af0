"""A process of its own: OpenDSS compiles commands from standard input and tells the circuit on standard output.

Run by `cosim.nets.importing.dss.process`, which has checked the commands. It may write no file.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

MOST_BYTES = 4 * 2**30
"""Of memory, where the system can limit it."""
MOST_NUMBERS = 20_000_000
"""In all shapes."""
TOLERANCES = (1e-12, 1e-10, 1e-8)
"""Of the engine, in pu; the first that it reaches."""
PROPERTIES = {
    "load": ("phases", "conn", "kv", "kw", "kvar", "model", "vminpu", "vmaxpu", "yearly", "daily", "duty", "status"),
    "generator": ("phases", "conn", "kv", "model", "vminpu", "vmaxpu", "yearly", "daily", "duty"),
    "pvsystem": ("phases", "conn", "kv", "model", "vminpu", "vmaxpu", "yearly", "daily", "duty", "effcurve", "p-tcurve",
                 "kva", "pmpp", "irradiance"),
    "vsource": ("phases", "basekv", "pu", "angle", "frequency", "basefreq", "yearly", "daily", "duty", "model"),
    "line": ("length", "units", "normamps", "basefreq"),
    "transformer": ("phases", "windings", "kvs", "kvas", "basefreq"),
    "capacitor": ("normamps", "basefreq"),
    "reactor": ("normamps", "basefreq"),
}  # fmt: skip
"""What is read of each class beside its matrix."""


def main() -> None:
    """Answer one request; see `tell_circuit`."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the engine prints is no part of the answer
    asked = json.load(sys.stdin)
    _limit(asked["seconds"])
    answer.write(json.dumps(tell_circuit(asked["commands"])))
    answer.close()


def _limit(seconds: int) -> None:
    """Take from this process what a circuit has no need for."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def tell_circuit(commands: list[str]) -> dict[str, Any]:
    """Compile commands, solve a snapshot, and describe the circuit; or say which command failed, and why.

    Returns
    -------
    dict
        Either `failed` (place of the command, the engine's words), or `frequency_hz`, `converged`, `nodes`, `voltages`,
        `base_kv` by bus, `elements` with what `PROPERTIES` names, and `shapes`.
    """
    dss: Any = importlib.import_module("opendssdirect")

    dss.Basic.AllowForms(False)
    dss.Basic.AllowEditor(False)
    dss.Basic.AllowChangeDir(False)
    for place, command in enumerate(("clear", *commands)):
        words = _run(dss, command)
        if words:
            return {"failed": [place - 1, words]}
    _run(dss, "set maxiterations=1000")
    for tolerance in TOLERANCES:
        words = _run(dss, f"set tolerance={tolerance!r}") or _run(dss, "solve mode=snap")
        if not words and dss.Solution.Converged():
            break
    elements = list(_tell_elements(dss))
    names = {element["properties"].get(key, "") for element in elements for key in ("yearly", "daily", "duty")}
    return {
        "frequency_hz": dss.Solution.Frequency(),
        "converged": bool(dss.Solution.Converged()) and not words,
        "words": words,
        "nodes": [name.lower() for name in dss.Circuit.AllNodeNames()],
        "voltages": list(map(float, dss.Circuit.AllBusVolts())),
        "base_kv": dict(_tell_bases(dss)),
        "elements": elements,
        "shapes": dict(_tell_shapes(dss, {name.lower() for name in names})),
    }


def _run(dss: Any, command: str) -> str:
    """Run a command; what the engine says against it, empty if nothing."""
    try:
        dss.Text.Command(command)
        return str(dss.Error.Description()) if dss.Error.Number() else ""
    except Exception as reason:  # the engine's own
        return str(reason)


def _tell_elements(dss: Any) -> Iterator[dict[str, Any]]:
    for full in dss.Circuit.AllElementNames():
        dss.Circuit.SetActiveElement(full)
        kind = full.split(".")[0].lower()
        element = {
            "kind": kind,
            "name": full.partition(".")[2].lower(),
            "enabled": bool(dss.CktElement.Enabled()),
            "properties": {name: str(dss.Properties.Value(name)) for name in PROPERTIES.get(kind, ())},
        }
        if element["enabled"] and kind in PROPERTIES:
            terminals, wires = dss.CktElement.NumTerminals(), dss.CktElement.NumConductors()
            buses = [name.split(".")[0].lower() for name in dss.CktElement.BusNames()]
            order = dss.CktElement.NodeOrder()
            element["nodes"] = [(buses[k // wires], int(order[k]), k // wires) for k in range(terminals * wires)]
            element["yprim"] = list(map(float, dss.CktElement.YPrim()))
            element["powers"] = list(map(float, dss.CktElement.Powers()))
            element["open"] = [bool(dss.CktElement.IsOpen(k + 1, 0)) for k in range(terminals)]
        yield element


def _tell_bases(dss: Any) -> Iterator[tuple[str, float]]:
    for name in dss.Circuit.AllBusNames():
        dss.Circuit.SetActiveBus(name)
        yield name.lower(), float(dss.Bus.kVBase())


def _tell_shapes(dss: Any, names: set[str]) -> Iterator[tuple[str, Any]]:
    """Interval in minutes, multipliers, base and whether they are kW of each shape; several may share its name."""
    left = MOST_NUMBERS
    for name in dss.LoadShape.AllNames():
        if name.lower() in names and name.lower() != "":
            dss.LoadShape.Name(name)
            left -= dss.LoadShape.Npts()
            if left < 0:
                return
            yield (
                name.lower(),
                {
                    "minutes": float(dss.LoadShape.MinInterval()),
                    "p": list(map(float, dss.LoadShape.PMult())),
                    "q": list(map(float, dss.LoadShape.QMult())),
                    "actual": bool(dss.LoadShape.UseActual()),
                },
            )


if __name__ == "__main__":
    main()
