"""What of a run others may have: its ledger and what it takes to verify or audit it, in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cosim.errors import ScenarioError
from cosim.results.directory import write_whole
from cosim.results.folders import check_empty, make_folder
from cosim.results.integrity import MANIFEST, read_json
from cosim.results.result import NETWORK_FILE
from cosim.scenario.files import load_scenario
from cosim.scenario.model import Scenario
from market.ledger.durable import read_text_bounded
from market.ledger.format.checkpoint import checkpoint_path
from market.ledger.format.note import read_note
from market.ledger.store.copy import copy_ledger
from market.ledger.store.store import Store

LARGEST = 1 << 28
"""Bytes of the largest network that is read at once."""

PUBLIC = ("gridsettle", "python", "libraries", "network_sha256", "limits", "ledger")
"""Keys of the manifest of a private run that say nothing of a house."""
_OF_NETWORK = "network_sha256"


def publish_run(directory: Path, folder: Path) -> list[Path]:
    """Write what others may have of a run into a new folder, and the checkpoint beside it; returns the files.

    It is the ledger, the network and a manifest, and of a run that is not private the scenario, to audit it by. The
    ledger is written anew, row by row, so that nothing else in its file goes along.

    Raises
    ------
    ScenarioError, market.errors.LedgerError
        If the directory holds no finished run, the folder is not empty, or a file cannot be written.
    """
    scenario = load_scenario(directory / "scenario.toml")
    private = scenario.ledger.private
    manifest, checkpoint = read_json(directory / MANIFEST), checkpoint_path(directory)
    if not checkpoint.is_file():
        raise ScenarioError(f"{checkpoint}: expected the checkpoint of the run beside its directory, found none")
    note = read_note(checkpoint)
    names = [NETWORK_FILE] if private else [NETWORK_FILE, "scenario.toml"]
    texts = {name: read_text_bounded(directory / name, "a file of the run", LARGEST) for name in names}
    texts[MANIFEST] = json.dumps(select_public(manifest, scenario) if private else dict(manifest), indent=2) + "\n"
    make_folder(check_empty(folder))
    with Store.open_to_read(directory) as store:
        written = [copy_ledger(store, folder)]
    for name, text in texts.items():
        write_whole(folder / name, text)
        written.append(folder / name)
    write_whole(checkpoint_path(folder), note)
    return [*written, checkpoint_path(folder)]


def select_public(manifest: Mapping[str, Any], scenario: Scenario) -> dict[str, Any]:
    """What of a private run's manifest says nothing of a house: no digests, no origin of profiles, no list of files.

    The digest of a network with phases would let anybody try out at which phase a house is.
    """
    unbalanced = scenario.network.model != "balanced"
    return {name: manifest[name] for name in PUBLIC if name in manifest and not (unbalanced and name == _OF_NETWORK)}
