"""What the columns of a table of readings are, by their names: times, meters, units, directions, counters.

Names are compared word by word, without accents, brackets and capital letters, in the languages in which portals of
grid operators write them. What no name decides is asked for.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from data.meters.readings import EXPORT, IMPORT, NET, POWER, REGISTER
from data.trades import REACTIVE

TIME = {
    *[
        "time",
        "timestamp",
        "datetime",
        "stamp",
        "zeit",
        "zeitstempel",
        "zeitpunkt",
        "uhrzeit",
        "horodate",
        "horodatage",
        "fechahora",
        "tijd",
        "tijdstip",
    ]
}
TIME |= {*["epoch", "unix", "unixtime", "ts", "hour", "hora", "heure", "ora", "uur", "stunde", "moment", "instant"]}
DATE = {*["date", "day", "fecha", "datum", "giorno", "dia", "jour", "data", "dag", "tag"]}
HOUR = {*["hour", "hora", "heure", "ora", "uur", "stunde", "time", "uhrzeit", "zeit", "hr"]}
START = {*["start", "begin", "from", "von", "ab", "inicio", "debut", "beginning", "inizio", "van"]}
END = {*["end", "to", "until", "bis", "fin", "fine", "tot", "stop", "ending", "final"]}
METER = {
    *[
        "meter",
        "meterid",
        "participant",
        "id",
        "house",
        "household",
        "cups",
        "pod",
        "prm",
        "pdl",
        "ean",
        "mpan",
        "nmi",
        "zahlpunkt",
        "zaehlpunkt",
    ]
}
METER |= {
    *[
        "serial",
        "device",
        "customer",
        "site",
        "lclid",
        "zahler",
        "zaehler",
        "contatore",
        "compteur",
        "contador",
        "meteringpoint",
    ]
}
FLAG = {*["dst", "season", "sommerzeit", "verano", "summer", "estacion", "isdst", "summertime"]}
QUALITY = {
    *[
        "quality",
        "status",
        "estado",
        "metodo",
        "metodoobtencion",
        "estimado",
        "qualite",
        "statut",
        "method",
        "flag",
        "obtencion",
    ]
}
TELLS_APART = {*["direction", "flow", "channel", "obis", "register", "tariff", "tarif", "phase"]}
"""Columns that say which of several readings a row is: they cannot be left out."""
SUMS = {*["total", "sum", "gesamt", "summe", "suma", "somme", "totale"]}
EXPORT_WORDS = {
    *[
        "export",
        "exported",
        "feed",
        "feedin",
        "injection",
        "injected",
        "einspeisung",
        "vertida",
        "excedente",
        "as",
        "surplus",
        "pv",
    ]
}
EXPORT_WORDS |= {
    *["generation", "production", "returned", "teruglevering", "immissione", "immessa", "generacion", "erzeugung"]
}
IMPORT_WORDS = {
    *[
        "import",
        "imported",
        "consumption",
        "load",
        "demand",
        "consumo",
        "bezug",
        "verbrauch",
        "ae",
        "ai",
        "withdrawal",
        "prelievo",
    ]
}
IMPORT_WORDS |= {*["consommation", "soutirage", "prelevata", "afname", "consumed", "used", "usage"]}
NET_WORDS = {*["net", "netto", "saldo", "balance", "neto"]}
REGISTER_WORDS = {
    *[
        "index",
        "cumulative",
        "cumulated",
        "zahlerstand",
        "zaehlerstand",
        "meterstand",
        "counter",
        "lectura",
        "totalizer",
        "stand",
    ]
}
VALUE_WORDS = {
    *[
        "value",
        "valeur",
        "valor",
        "wert",
        "energy",
        "power",
        "energie",
        "energia",
        "puissance",
        "potencia",
        "leistung",
        "reading",
        "readings",
    ]
}
UNITS = {"kwh": "kWh", "wh": "Wh", "mwh": "MWh", "kw": "kW", "w": "W"}
LENGTH_WORDS = {*["pas", "step", "duration", "length"]}


class Name(NamedTuple):
    """A column's name: as written, its words, and its unit, empty if it names none."""

    written: str
    words: frozenset[str]
    unit: str

    @property
    def flow(self) -> str:
        """Which way energy flows, by the name; `NET` where it does not say."""
        if self.words & NET_WORDS:
            return NET
        export, drawn = self.words & EXPORT_WORDS, self.words & IMPORT_WORDS
        return EXPORT if export and not drawn else IMPORT if drawn and not export else NET

    @property
    def kind(self) -> str:
        """What the values are, by the name; empty where it does not say."""
        if self.unit in ("kW", "W"):
            return POWER
        return REGISTER if self.words & REGISTER_WORDS else ""

    @property
    def is_quantity(self) -> bool:
        """Whether the name says nothing but what is measured, so that it names no meter."""
        known = {*UNITS, *VALUE_WORDS, *EXPORT_WORDS, *IMPORT_WORDS, *NET_WORDS, *REGISTER_WORDS, "active", "interval"}
        return self.words <= known | {"activa", "active", "grid", "autocons", "in", "to", "from", "delivered", "mean"}

    @property
    def is_reactive(self) -> bool:
        """Whether it names reactive energy or a power factor."""
        return bool(REACTIVE.search(self.written.lower()))


def read_name(written: str) -> Name:
    """The words of a column's name.

    Examples
    --------
    >>> name = read_name("Énergie active (kWh)")
    >>> sorted(name.words), name.unit
    (['active', 'energie', 'kwh'], 'kWh')
    """
    plain = unicodedata.normalize("NFKD", written)
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = re.sub(r"(?<=[a-jl-z])(?=[A-Z](?![Hh]))", "_", plain).lower()
    words = [word for word in re.split(r"[^a-z0-9]+", plain) if word]
    units = [UNITS[word] for word in words if word in UNITS]
    return Name(written, frozenset(words), units[-1] if units else "")


def is_start(name: Name) -> bool:
    """Whether a column of times names the start of an interval."""
    return bool(name.words & START)


def is_end(name: Name) -> bool:
    """Whether a column of times names the end of an interval."""
    return bool(name.words & END)


def is_utc(name: Name) -> bool:
    """Whether a column's name says that its times are in UTC."""
    return bool(name.words & {"utc", "gmt"})


def is_time(name: Name) -> bool:
    """Whether a column holds times or dates, by its name."""
    return not name.unit and bool(name.words & (TIME | DATE | START | END))


def is_estimated(word: object) -> bool:
    """Whether a word of a column of qualities says that a reading is estimated.

    Examples
    --------
    >>> [is_estimated(word) for word in ("Estimada", "E", "Real", "R")]
    [True, True, False, False]
    """
    text = str(word).strip().lower()
    return text == "e" or text.startswith(("estim", "geschat", "stima"))
