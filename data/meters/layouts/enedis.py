"""Load curves of Enedis: two rows that describe the curve, then `Horodate;Valeur`.

Enedis' customers' file has in its first row names such as `Identifiant PRM;…;Grandeur metier;…;Unite;Pas en minutes`,
in its second what they are, and below a value with its time in ISO 8601 with an offset: the mean power, in W, of the
interval that ends then (customers' portal of Enedis, https://www.enedis.fr). Without the two rows the table is an
ordinary one and its unit is asked for.
"""

from __future__ import annotations

import csv

from data.errors import DataError
from data.meters.layouts.roles import UNITS, read_name
from data.meters.layouts.table import Known, parse_rows
from data.meters.readings import EXPORT, IMPORT, Parsed
from data.meters.told import Told


def is_enedis(text: str) -> bool:
    """Whether a text begins with Enedis' description of a curve."""
    return text[:200].lstrip('"').lower().startswith("identifiant prm")


def parse_enedis(text: str, source: str, stem: str, told: Told) -> Parsed:
    """Readings of a load curve of Enedis.

    Raises
    ------
    DataError
        If the description is of something else than a load curve of active energy, or as of any table.
    """
    rows = list(csv.reader(text.splitlines()[:2], delimiter=";"))
    names, values = rows[0], rows[1] if len(rows) > 1 else []
    said = {" ".join(sorted(read_name(name).words)): value.strip() for name, value in zip(names, values, strict=False)}
    rest = text.split("\n", 2)[2] if text.count("\n") > 1 else ""
    unit, what = said.get("unite", ""), said.get("grandeur physique", "")
    if unit.lower() not in UNITS or "active" not in what.lower() or "reactive" in _plain(what):
        raise DataError(
            f"{source}, row 2: expected active energy in W, kW, Wh or kWh, got '{what}' in "
            f"'{unit}'; choose the load curve"
        )
    trade = _plain(said.get("grandeur metier", ""))
    flow = EXPORT if "injection" in trade or "production" in trade else IMPORT if "consommation" in trade else ""
    words = ("a load curve of Enedis: times at the end of intervals, unless --stamp says otherwise",)
    known = Known(said.get("identifiant prm", ""), UNITS[unit.lower()], "end", flow, words)
    return parse_rows(rest, source, stem, told, known, first_row=4)


def _plain(text: str) -> str:
    return " ".join(sorted(read_name(text).words))
