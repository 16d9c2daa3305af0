"""Words of a script that may reach the engine, and what becomes of the others.

Nothing is allowed by being unknown: a command, class, option or property that is not here is refused by name.
"""

from __future__ import annotations

USED = frozenset({"circuit", "vsource", "line", "transformer", "load", "generator", "pvsystem", "capacitor", "reactor"})
"""Elements that are read."""
DATA = frozenset(
    {"linecode", "linegeometry", "linespacing", "wiredata", "cndata", "tsdata", "xfmrcode", "loadshape", "tshape",
     "xycurve", "spectrum", "growthshape", "tcc_curve"}
)  # fmt: skip
"""What elements refer to."""
CONTROLS = frozenset({"regcontrol", "capcontrol", "swtcontrol"})
"""Controls whose taps, steps and switches stay as the engine leaves them."""
LEFT_OUT = {
    "monitor": "it records and changes nothing",
    "energymeter": "it records and changes nothing",
    "sensor": "it records and changes nothing",
    "relay": "protection acts on faults; nothing of it is in a power flow",
    "recloser": "protection acts on faults; nothing of it is in a power flow",
    "fuse": "protection acts on faults; nothing of it is in a power flow",
}
"""Classes that never reach the engine, and why that changes no power flow."""
CLASSES = USED | DATA | CONTROLS | set(LEFT_OUT)

COMMANDS = {
    "new": "new", "edit": "edit", "~": "more", "more": "more", "m": "more", "set": "set", "clear": "clear",
    "clearall": "clear", "redirect": "redirect", "compile": "redirect", "calcvoltagebases": "calcvoltagebases",
    "calcv": "calcvoltagebases", "setkvbase": "setkvbase", "batchedit": "batchedit", "open": "open", "close": "close",
    "enable": "enable", "disable": "disable", "solve": "solve", "buscoords": "buscoords", "makebuslist": "makebuslist",
    "export": "export", "show": "show", "plot": "plot",
}  # fmt: skip
"""Commands that are taken, and what they are called here."""
NOT_RUN = {
    "solve": "the circuit is solved once, as a snapshot; series are read as profiles",
    "buscoords": "places on a map change no power flow; the file is not opened",
    "makebuslist": "the engine does so by itself",
    **dict.fromkeys(("export", "show", "plot"), "writes or shows what was solved; it is not done"),
}
"""Commands that never reach the engine, and why."""

OPTIONS = frozenset({"defaultbasefrequency", "voltagebases", "loadmult", "controlmode", "maxcontroliter", "earthmodel"})
"""Options of `set` that reach the engine."""
OPTIONS_NOT_SET = {
    "mode": "series are read as profiles, and the circuit is solved as a snapshot",
    **dict.fromkeys(("number", "stepsize", "h", "hour", "sec", "time"), "the circuit is solved as a snapshot"),
    **dict.fromkeys(("tolerance", "maxiterations", "maxiter", "algorithm"), "the import has its own"),
    **dict.fromkeys(
        ("casename", "markercode", "nodewidth", "daisysize", "marktransformers", "markswitches", "showexport",
         "demandinterval", "diverbose", "overloadreport", "voltexceptionreport", "emergvminpu", "normvminpu",
         "normvmaxpu", "emergvmaxpu", "recorder", "editor"),
        "it concerns output of OpenDSS",
    ),
}  # fmt: skip
"""Options of `set` that do not, and why."""

HARMFUL = ("usermodel", "userdata", "shaftmodel", "shaftdata", "dynadll", "dynadata", "debugtrace", "dynamiceq",
           "sngfile", "dblfile", "pqcsvfile", "csvfile")  # fmt: skip
"""Properties that open files, load programs or write; OpenDSS takes their beginnings for them, too."""
NAMED_ONLY = CONTROLS | {"generator", "pvsystem", "loadshape", "tshape", "growthshape", "spectrum", "xycurve"}
"""Classes with a harmful property, of which therefore none may be given without its name."""
