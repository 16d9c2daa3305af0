"""What the doctor looks at: a network as pandapower has it, and the scenario that is to be run on it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from cosim.case.case import build_case
from cosim.case.checks import check_given
from cosim.errors import ScenarioError
from cosim.nets.doctor.folder import view_folder
from cosim.nets.models import Model
from cosim.scenario import files
from cosim.scenario.model import Scenario
from grid_models.errors import GridError
from grid_models.feeder.elements import complete_taps, drop_solver_options
from grid_models.feeder.named_nets import make_named_net
from grid_models.feeder.net_file import parse_any_numbers, read_regular_text
from grid_models.feeder.plausibility import check_base
from grid_models.feeder.topology import Islands, find_islands
from grid_models.phases.tables import Tables, read_tables


class Subject:
    """A network under examination; no check changes it.

    Parameters
    ----------
    net
        pandapower net; of a folder of tables, a view of it, see `view_folder`.
    where
        Begins messages.
    tables
        Tables of a folder; None of a net.
    scenario
        What is to be run on it, if anything.
    """

    def __init__(
        self, net: Any, where: str = "network", *, tables: Tables | None = None, scenario: Scenario | None = None
    ) -> None:
        self.net, self.where, self.tables, self.scenario = net, where, tables, scenario
        if scenario is not None:
            rated = net.line["name"].map(scenario.network.line_ratings_ka)
            net.line["max_i_ka"] = rated.astype(float).fillna(net.line["max_i_ka"])
        drop_solver_options(net)
        complete_taps(net)

    @property
    def model(self) -> Model:
        """Model in which the network as given is solved."""
        return Model.BALANCED if self.tables is None else Model.FOUR_WIRE

    @cached_property
    def islands(self) -> Islands:
        """Connected parts."""
        return find_islands(self.net)

    def select(self, table: str) -> Any:
        """Rows of a table in service, or all where it knows no service; an empty table where there is none."""
        frame = self.net.get(table)
        if not isinstance(frame, pd.DataFrame):
            return pd.DataFrame()
        return frame[frame["in_service"].astype(bool)] if "in_service" in frame else frame

    def name(self, table: str, index: int | None) -> str:
        """Name of an element; empty where it has none."""
        frame = self.net.get(table)
        if index is None or not isinstance(frame, pd.DataFrame) or "name" not in frame or index not in frame.index:
            return ""
        name: Any = frame["name"].at[index]
        return "" if pd.isna(name) else str(name)


def read_subject(path: Path, scenario: str = "") -> Subject:
    """Network of a file, folder or scenario, to be looked at.

    Parameters
    ----------
    path
        pandapower JSON, a folder of tables, or a scenario file (`.toml`), whose network is looked at.
    scenario
        Scenario to be run on a pandapower JSON, in place of its own file.

    Raises
    ------
    GridError, ScenarioError, data.errors.DataError
        If it cannot be read.
    """
    if path.suffix == ".toml":
        if scenario:
            raise ScenarioError(
                f"{path}: expected a network beside --scenario, got a scenario; give one of the two, its network "
                "is looked at"
            )
        return _of_scenario(files.load_scenario(path), path)
    if path.is_dir():
        if scenario:
            raise GridError(f"{path}: expected a pandapower JSON file beside --scenario, got a folder of tables")
        tables = read_tables(path)
        return Subject(view_folder(tables), str(path), tables=tables)
    net = _read_net(path)
    return Subject(net, str(path), scenario=_with_net(files.load_scenario(scenario), path) if scenario else None)


def _read_net(path: Path) -> Any:
    net = parse_any_numbers(read_regular_text(path), str(path))
    check_base(net, str(path))
    if len(net.bus) == 0:
        raise GridError(f"{path}: expected at least one bus, got an empty net")
    return net


def _with_net(scenario: Scenario, path: Path) -> Scenario:
    """The scenario on the net of a file in place of its own."""
    if scenario.network.source != "file":
        raise ScenarioError(
            f"scenario '{scenario.name}', network.source: expected \"file\" beside a network of its own, got "
            f'"{scenario.network.source}"; give the scenario alone, its network is looked at'
        )
    return scenario.with_changes("net check", network={"file": path.resolve()})


def _of_scenario(scenario: Scenario, path: Path) -> Subject:
    section = scenario.network
    if section.source == "file":
        file = Path(check_given(scenario, "network", "file"))
        return Subject(_read_net(file), str(file), scenario=scenario)
    if section.source == "named":
        net = make_named_net(check_given(scenario, "network", "name"), seed=scenario.seed)
        return Subject(net, str(section.name), scenario=scenario)
    return Subject(build_case(scenario).feeder.net, str(path), scenario=scenario)
