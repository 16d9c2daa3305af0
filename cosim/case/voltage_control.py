"""What holds the voltage beside reactive power, as a scenario asks for it: P(V) of inverters, tap changers."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from cosim.case.event_checks import check_only_loads
from cosim.errors import ScenarioError
from cosim.scenario.model import Scenario
from cosim.scenario.sections import PvSection
from cosim.scenario.voltage import TapChangerSection
from grid_models.devices.volt_watt import VoltWatt
from grid_models.errors import GridError
from grid_models.feeder.feeder import Feeder
from grid_models.feeder.topology import find_grid_transformers
from grid_models.response.active_control import ActiveControl
from grid_models.response.tap_changer import TAP_FIELDS, TapChangers, TapSettings


def check_voltage_control(scenario: Scenario) -> None:
    """Refuse what P(V) and tap changers cannot be joined with.

    Raises
    ------
    ScenarioError, GridError
        If there are outages or devices that join or leave, or the points of P(V) are none.
    """
    if scenario.pv.volt_watt:
        check_only_loads(scenario, "pv.volt_watt")
        make_curve(scenario.pv)
    if scenario.tap_changer.enabled:
        check_only_loads(scenario, "tap_changer")


def make_curve(section: PvSection) -> VoltWatt:
    """The characteristic P(V).

    Raises
    ------
    GridError
        If its points are none.
    """
    try:
        return VoltWatt(section.volt_watt_vm_pu, section.volt_watt_share)
    except GridError as reason:
        raise GridError(f"pv.volt_watt_vm_pu, pv.volt_watt_share: {reason}") from reason


def make_active_control(section: PvSection, largest_pv_kw: npt.NDArray[np.float64]) -> ActiveControl | None:
    """P(V) of the inverters, None where the scenario asks for none; ratings are the largest generations, (N,) kW."""
    return ActiveControl(make_curve(section), largest_pv_kw) if section.volt_watt else None


def make_tap_changers(section: TapChangerSection, feeder: Feeder) -> TapChangers | None:
    """Tap changers of a feeder whose net has the taps of `with_tap_keys`; None where the scenario asks for none.

    Raises
    ------
    ScenarioError, GridError
        If a transformer is none, or has no taps.
    """
    if not section.enabled:
        return None
    bus = None if section.bus is None else find_one(feeder.net.bus, section.bus, "tap_changer.bus", "bus")
    settings = TapSettings(section.vm_lower_pu, section.vm_upper_pu, section.delay_s, section.side, bus)
    return TapChangers(feeder, find_transformers(section, feeder), settings)


def with_tap_keys(section: TapChangerSection, feeder: Feeder) -> Feeder:
    """The feeder with the taps that the scenario gives in place of the net's."""
    given = {key: getattr(section, key) for key in TAP_FIELDS if getattr(section, key) is not None}
    if not section.enabled or not given:
        return feeder
    net = deepcopy(feeder.net)
    for key, value in given.items():
        net.trafo.loc[find_transformers(section, feeder), key] = value
    return replace(feeder, net=net)


def find_transformers(section: TapChangerSection, feeder: Feeder) -> npt.NDArray[np.int64]:
    """Index of each transformer that changes taps, (M,).

    Raises
    ------
    ScenarioError
        If a name is that of none or of several, or there are none at the external grid.
    """
    where, table = "tap_changer.transformers", feeder.net.trafo
    found = sorted({find_one(table, name, where, "transformer") for name in section.transformers})
    found = found if section.transformers else find_grid_transformers(feeder.net)
    if not found:
        raise ScenarioError(
            "tap_changer.enabled: expected a transformer at the external grid, got none; name those that change taps "
            "in tap_changer.transformers"
        )
    return np.array(found, np.int64)


def find_one(table: pd.DataFrame, name: str, where: str, what: str) -> int:
    """Index of the one element of a table of the net that has a name or number.

    Raises
    ------
    ScenarioError
        If none has it, or several have.
    """
    at = [int(k) for k in table.index if name in (str(k), str(table["name"].at[k]))]
    if len(at) == 1:
        return at[0]
    known = [f"{k} '{table['name'].at[k]}'" for k in table.index[:8]]
    more = f", and {len(table) - len(known):,} more" if len(table) > len(known) else ""
    raise ScenarioError(
        f"{where}: expected name or number of one {what}, got '{name}', which {len(at) or 'none'} of them have; choose "
        f"from {', '.join(known) + more if known else f'none: the net has no {what}'}"
    )


def check_without_voltage_control(scenario: Scenario, who: str) -> None:
    """Raise ScenarioError if a scenario has P(V) or tap changers, which `who` would leave out."""
    for key, asked in (("pv.volt_watt", scenario.pv.volt_watt), ("tap_changer.enabled", scenario.tap_changer.enabled)):
        if asked:
            raise ScenarioError(f"{key}: expected false for {who}, got true; set it to false")


def list_controls_left_out(scenario: Scenario, who: str) -> tuple[str, ...]:
    """What `who` leaves out of a scenario's control of voltages, as a remark; nothing if there is none.

    Examples
    --------
    >>> list_controls_left_out(Scenario(pv={"volt_watt": True}), "hosting capacity")
    ('hosting capacity leaves out pv.volt_watt = true: inverters inject all active power and no reactive power',)
    """
    left_out = []
    if scenario.pv.control != "none":
        left_out.append(f'pv.control = "{scenario.pv.control}"')
    if scenario.pv.volt_watt:
        left_out.append("pv.volt_watt = true")
    said = [f"{who} leaves out {' and '.join(left_out)}: inverters inject all active power and no reactive power"]
    taps = [f"{who} leaves out tap_changer: transformers stay at the position that they begin with"]
    within = [f'{who} leaves out market.network = "envelope": nothing is traded']
    given = left_out, scenario.tap_changer.enabled, scenario.market.network == "envelope"
    return tuple(note for asked, notes in zip(given, (said, taps, within), strict=True) if asked for note in notes)
