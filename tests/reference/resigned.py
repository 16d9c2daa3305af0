"""A ledger changed where one likes and signed again, as whoever holds the operator's key can do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from market.ledger.crypto.merkle import History, group_roots, leaf_hash
from market.ledger.format.header import NO_PREVIOUS, Header, decode_header, header_message, state_message
from market.ledger.format.records import SIZE, number_records
from market.ledger.store.store import Store, StoredBlock

Change = Callable[[Header, bytes], tuple[Header, bytes]]
"""Makes another header and other records of those of a block; hashes, links and numbers are made anew."""


def resign(directory: Path, key: Ed25519PrivateKey, change: Change) -> None:
    """Write the ledger again with other blocks, all hashes and signatures made anew."""
    with Store.open_to_read(directory) as store:
        blocks = [block for group in store.groups() for block in group]
    previous, tree, stored, nodes = NO_PREVIOUS, History(), [], []
    for block in blocks:
        header, body = change(decode_header(block.header), block.records)
        rows = number_records(np.frombuffer(body, np.uint8).reshape(-1, SIZE), int.from_bytes(body[4:8], "little"))
        root = group_roots(rows, np.array([0, len(rows)]))[0].tobytes()
        encoded = header._replace(prev=previous, record_root=root, n_records=len(rows)).encode()
        previous = leaf_hash(encoded)
        stored.append(StoredBlock(block.height, encoded, previous, key.sign(header_message(encoded)), rows.tobytes()))
        nodes += tree.append(previous)
    _write(directory, key, stored, nodes)


def _write(
    directory: Path, key: Ed25519PrivateKey, stored: list[StoredBlock], nodes: list[tuple[int, int, bytes]]
) -> None:
    with closing(sqlite3.connect(directory / "ledger.sqlite", isolation_level=None)) as connection:
        for table in ("block", "node", "checkpoint"):
            connection.execute(f"DELETE FROM {table}")
        connection.executemany("INSERT INTO block VALUES(?,?,?,?,?)", stored)
        connection.executemany("INSERT INTO node VALUES(?,?,?)", nodes)
        at, blob = connection.execute("SELECT height, blob FROM run_state").fetchone()
        signature = key.sign(state_message(stored[at].hash, blob))
        connection.execute("UPDATE run_state SET signature = ?", (signature,))
