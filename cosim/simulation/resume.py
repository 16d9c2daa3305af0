"""Resuming: what a directory holds of a run, and tables made again where their parts are damaged.

A run is a function of its inputs. So intervals that the ledger holds already can be run again for their tables alone,
and held against it: every block says by its state root what accounts and batteries are after its interval.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from cosim.case.case import Case
from cosim.errors import ScenarioError
from cosim.interval.chunk import Chunk
from cosim.recording.blocks import interval_starts
from cosim.recording.recorder import Recorder
from cosim.results.directory import file_name
from cosim.results.integrity import FILES, MANIFEST, SUMMARY, find_change, read_manifest
from cosim.results.parts import DAMAGED, find_damage, set_parts_aside
from cosim.results.result import NETWORK_FILE
from cosim.simulation.version import find_version
from market.ledger.format.header import decode_header, state_root
from market.ledger.private.commitments import STATE_SEQ, derive_salt, derive_salt_secret
from market.ledger.store.store import Store
from market.ledger.write.ledger import state_roots

logger = logging.getLogger(__name__)


def list_files(tables: Iterable[str]) -> list[str]:
    """Files of a finished run that its manifest keeps hashes of."""
    return ["scenario.toml", NETWORK_FILE, SUMMARY, *map(file_name, tables)]


def is_finished(directory: Path, tables: Iterable[str]) -> bool:
    """Whether all files of a run are there, as they were written; its manifest is written last."""
    try:
        manifest = read_manifest(directory / MANIFEST)
    except ScenarioError:
        return False
    return set(list_files(tables)) <= set(manifest.get(FILES, ())) and find_change(directory, manifest) is None


def name_run(recorder: Recorder) -> str:
    """What tells a run, and the version that writes its tables, apart from others."""
    return f"chain {recorder.ledger.chain_id.hex()}, gridsettle {find_version('gridsettle')}"


def must_repeat(recorder: Recorder, directory: Path, tables: Iterable[str], *, served: bool = False) -> bool:
    """Whether the tables of the intervals on the ledger have to be made again; says why, and makes room for them.

    A served run has none of its own until it is over.
    """
    damage = find_damage(directory, tables, recorder.next_interval, name_run(recorder))
    if damage is None:
        return False
    if served:
        logger.info("making the tables of %d served intervals", recorder.next_interval)
    else:
        logger.warning("%s; making the tables of %d recorded intervals again", damage, recorder.next_interval)
    set_parts_aside(directory)
    return True


def read_state_roots(case: Case, directory: Path) -> list[bytes]:
    """State root after each recorded interval; blocks without an interval repeat time and root of the block before."""
    with Store.open_to_read(directory) as store:
        headers = map(decode_header, store.headers())
        roots = {header.interval_start: header.state_root for header in headers}
    starts = interval_starts(case, np.arange(case.n_intervals)).tolist()
    return [roots[start] for start in starts if start in roots]


def make_state_roots(recorder: Recorder, chunk: Chunk) -> list[bytes]:
    """State roots of a chunk's intervals as the recorder would write them; private runs salt them."""
    if not recorder.keys.private:
        return state_roots(chunk.window.accounts)
    secret, chain = derive_salt_secret(recorder.keys.operator), recorder.ledger.chain_id
    return [
        state_root(row, derive_salt(secret, chain, chunk.first + k, STATE_SEQ))
        for k, row in enumerate(chunk.window.accounts)
    ]


def check_repeated(recorder: Recorder, groups: Iterator[list[Chunk]], directory: Path) -> Iterator[list[Chunk]]:
    """The groups, once they are found to end as the ledger says.

    Raises
    ------
    ScenarioError
        If one does not: the run was begun by another version.
    """
    recorded = read_state_roots(recorder.case, directory)
    for group in groups:
        for chunk in group:
            for k, root in enumerate(make_state_roots(recorder, chunk)):
                if root != recorded[chunk.first + k]:
                    raise ScenarioError(
                        f"{directory}: expected interval {chunk.first + k} to end as the ledger has it, got another "
                        "end; make the tables again with the version of gridsettle that began the run. The ledger is "
                        f"as it was; what was left of the tables is in {DAMAGED}"
                    )
        yield group
