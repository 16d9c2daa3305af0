"""A pandapower JSON file of any version."""

from __future__ import annotations

from pathlib import Path

from cosim.nets.importing.checked import finish_import
from cosim.nets.importing.imported import Imported
from grid_models.feeder.net_file import read_net


def import_pandapower(path: Path) -> Imported:
    """Net of a file that any version of pandapower wrote; objects stored in it are left out, and named.

    Raises
    ------
    GridError
        If it is none, or one that cannot be run.
    """
    return finish_import(read_net(path), str(path))
