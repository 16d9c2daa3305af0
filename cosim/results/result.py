"""The result of a run: tables as DataFrames, a summary, the network; in memory or read from a run directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from cosim.errors import ScenarioError
from cosim.notebook import table_html
from cosim.results.directory import file_name, read_in_parts, read_table
from cosim.results.integrity import AGAIN, MANIFEST, SUMMARY, check_files, read_json, read_manifest
from cosim.results.labels import NETWORK
from cosim.results.summary import EXTREMES
from cosim.scenario.files import load_scenario
from cosim.scenario.model import Scenario
from grid_models.feeder.net_file import read_net

NETWORK_FILE = "network.json"
TABLES = ("exchanges", "houses", "intervals", "bus_voltage", "branch_loading", "violations")


def _read_frame(name: str, index: str = "time") -> cached_property[pd.DataFrame]:
    """Property that is a table of the run as a frame, read once."""
    return cached_property(lambda result: result.table(name).to_pandas().set_index(index))


@dataclass(frozen=True, eq=False)
class Result:
    """What a run produced.

    Attributes
    ----------
    scenario
        The scenario as run.
    summary
        Energy, money and network in a few numbers; see `cosim.results.summary`.
    directory
        Run directory, None for a run in memory.
    tables
        Tables of a run in memory; empty when they are read from the directory.
    network
        pandapower net of a run that has just been made; None when it is read from the directory.
    """

    scenario: Scenario
    summary: Mapping[str, Any]
    directory: Path | None
    tables: Mapping[str, pa.Table]
    network: Any = None

    @classmethod
    def load(cls, directory: str | Path) -> Result:
        """Result of a finished run.

        Raises
        ------
        cosim.errors.ScenarioError
            If the directory holds no finished run.
        """
        path = Path(directory) / SUMMARY
        if not path.exists():
            raise ScenarioError(
                f"{directory}: expected a finished run with {path.name}, found none; run it or go on with --resume"
            )
        summary = read_json(path)
        for name in ("energy_kwh", "money_eur", "network"):
            if not isinstance(summary.get(name), dict):
                raise ScenarioError(f"{path}: expected the summary of a run with a section '{name}', got none; {AGAIN}")
        return cls(load_scenario(path.with_name("scenario.toml")), summary, path.parent, {})

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """Versions and hashes, to repeat the run; empty for a run in memory."""
        path = None if self.directory is None else self.directory / MANIFEST
        return {} if path is None or not path.exists() else read_manifest(path)

    def check_files(self) -> AbstractContextManager[None]:
        """Context that checks the files first; where they cannot be checked, what fails in it is their fault.

        Raises
        ------
        cosim.errors.ScenarioError
            If a file is not as the run wrote it.
        """
        return check_files(self.directory, self.manifest)

    @cached_property
    def net(self) -> Any:
        """Pandapower net of the feeder; it opens and plots in any pandapower tool."""
        if self.network is not None or self.directory is None:
            return self.network
        return read_net(self.directory / NETWORK_FILE)

    def report(self, path: str | Path | None = None, *, hosting: bool = False) -> Path:
        """Write the feeder loading report as one HTML page; into the run directory if no path is given."""
        from cosim.report.page import write_report

        return write_report(self, path, hosting=hosting)

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A table by name, one of `cosim.results.result.TABLES`, or some columns of it."""
        if self.directory is not None:
            return read_table(self.directory, name, columns)
        return self.tables[name] if columns is None else self.tables[name].select(columns)

    def parts(self, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns of a table, some rows at a time: the tables of a long run may not fit into memory."""
        if self.directory is not None:
            return read_in_parts(self.directory, name, columns)
        return iter([self.table(name, columns)])

    def has_table(self, name: str) -> bool:
        """Whether the run made a table; those of outages exist only where there were events."""
        if self.directory is None:
            return name in self.tables
        return (self.directory / file_name(name)).exists()

    exchanges = _read_frame("exchanges")
    """One row per exchange, spill, shed and loss, by UTC time."""
    houses = _read_frame("houses")
    """One row per house and interval: meters in Wh, wallet and utility account in nEUR, by UTC time."""
    intervals = _read_frame("intervals")
    """One row per interval: prices, grid exchange, losses, outcome, by UTC time."""
    bus_voltage = _read_frame("bus_voltage")
    """Long table of voltages, pu, by UTC time; of an unbalanced run one of each phase, and the unbalance, %."""
    branch_loading = _read_frame("branch_loading")
    """Long table of loadings, per cent, by UTC time; of an unbalanced run one of each phase and of the neutral."""
    violations = _read_frame("violations")
    """What the exchanges as cleared would have violated, by UTC time."""
    curtailed_by_house = _read_frame("curtailed_by_house", "house")
    """What each house sold, delivered, was cut, and was paid for it, by house; see `cosim.results.fairness`."""
    energy_balance = _read_frame("energy_balance")
    """One row per interval: where energy came from and went to, Wh; see `cosim.results.energy_balance`."""

    @cached_property
    def ev(self) -> pd.DataFrame:
        """One row per car and interval, by UTC time; empty without cars. See `cosim.results.flexible`."""
        return self._read_if_there("ev")

    @cached_property
    def heat_pumps(self) -> pd.DataFrame:
        """One row per heat pump and interval, by UTC time; empty without heat pumps. See `cosim.results.flexible`."""
        return self._read_if_there("heat_pumps")

    @cached_property
    def envelopes(self) -> pd.DataFrame:
        """One row per house in each interval in which an envelope keeps somebody from something, by UTC time.

        Empty where orders were not clipped to envelopes. See `cosim.results.envelopes`.
        """
        return self._read_if_there("envelopes")

    def _read_if_there(self, name: str) -> pd.DataFrame:
        return self.table(name).to_pandas().set_index("time") if self.has_table(name) else pd.DataFrame()

    @cached_property
    def resilience(self) -> pd.DataFrame:
        """One row per outage and one for all; empty without outages. See `cosim.results.resilience`."""
        found = self.has_table("resilience")
        return self.table("resilience").to_pandas().set_index("outage") if found else pd.DataFrame()

    def _repr_html_(self) -> str:
        """Small table for Jupyter."""
        return format_result_html(self)

    def __repr__(self) -> str:
        where = f" in {self.directory}" if self.directory else ""
        n = self.summary["network"]["intervals"]
        return f"<Result of scenario '{self.scenario.name}': {n} intervals{where}>"


UNITS = {"energy_kwh": "kWh", "money_eur": "EUR"}


def format_result_html(result: Result) -> str:
    """Energy, money and the network's extremes of a run."""
    summary = result.summary
    rows = [
        (name.replace("_", " "), f"{value:,.2f}", unit)
        for section, unit in UNITS.items()
        for name, value in summary[section].items()
    ]
    network = summary["network"]
    rows += [(f"intervals {name.replace('_', ' ')}", f"{n:,}", "") for name, n in network["outcomes"].items() if n]
    for name, (column, digits, unit) in EXTREMES.items():
        if name in network:
            rows.append((NETWORK[name], f"{network[name][column]:.{digits}f}", unit))
    return table_html(f"gridsettle run of scenario '{result.scenario.name}'", ("what", "value", "unit"), rows)
