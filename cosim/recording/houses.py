"""What the table of participants says of a house beyond its HOUSE record, as a parameter of the ledger."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import get_args

from cosim.case.houses import list_rows
from cosim.scenario.model import Scenario
from cosim.scenario.participants import FuelCellName, ParticipantSection

LAYOUT = struct.Struct("<iiHHBBHiibb")
"""Panels, W; contracted power, W; tilt and azimuth, 0.01°; priority; fuel cell; stacks; tank, g; price of its fuel,
0.001 EUR/kg; car; heat pump. What the row leaves out is -1, or 65535 for angles, or 0 for priority, cell and stacks."""
NO_ANGLE = 0xFFFF
PRIORITIES = ("", "low", "normal", "high")
FUEL_CELLS = ("", *get_args(FuelCellName))
_KEYS = tuple(
    key
    for key in ParticipantSection.model_fields
    if key.startswith(("pv_", "contract", "priority", "fuel_", "units", "tank", "ev", "heat"))
)


def list_house_parameters(scenario: Scenario, participants: Sequence[str]) -> dict[str, bytes]:
    """Parameters `house.K` of the houses whose row says more than their HOUSE record, by name.

    Batteries, wallets, buses, phases and power factors are in that record. A private run has none: whoever reads its
    ledger shall not learn what a house owns; the salted digest of the scenario covers them.
    """
    if scenario.ledger.private:
        return {}
    rows = enumerate(list_rows(scenario, participants))
    return {
        f"house.{k}": encode_row(row)
        for k, row in rows
        if row is not None and row.model_dump(include={*_KEYS}, exclude_none=True)
    }


def encode_row(row: ParticipantSection) -> bytes:
    """A row as the value of its parameter.

    Examples
    --------
    >>> LAYOUT.unpack(encode_row(ParticipantSection(participant="ann", pv_kwp=5.5, priority="low")))
    (5500, -1, 65535, 65535, 1, 0, 0, -1, -1, -1, -1)
    """
    tilt, azimuth = (
        NO_ANGLE if value is None else round(value * 100) for value in (row.pv_tilt_deg, row.pv_azimuth_deg)
    )
    return LAYOUT.pack(
        *(-1 if value is None else round(value * 1000) for value in (row.pv_kwp, row.contract_power_kw)),
        tilt,
        azimuth,
        PRIORITIES.index(row.priority or ""),
        FUEL_CELLS.index(row.fuel_cell or ""),
        row.units or 0,
        *(-1 if value is None else round(value * 1000) for value in (row.tank_kg, row.fuel_eur_per_kg)),
        *(-1 if value is None else int(value) for value in (row.ev, row.heat_pump)),
    )
