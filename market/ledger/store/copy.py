"""A copy of a ledger's file, written anew row by row, so that nothing else in the file goes along."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from market.errors import LedgerError
from market.ledger.database import create
from market.ledger.durable import sync_folder
from market.ledger.store.store import FILE, PAGE_SIZE, SCHEMA, Store


def copy_ledger(store: Store, directory: Path) -> Path:
    """Write all rows of a ledger into a new file in another directory; returns its path.

    Raises
    ------
    LedgerError
        If a row is damaged, there is a ledger already, or the file cannot be written.
    """
    path = directory / FILE
    if path.exists():
        raise LedgerError(f"{path}: expected no ledger, found one; choose another directory")
    partial = path.with_name(f".{FILE}.partial")
    try:
        partial.unlink(missing_ok=True)
        with create(partial, SCHEMA, PAGE_SIZE) as database, database.transaction():
            insert = database.connection.executemany
            for group in store.groups():
                insert("INSERT INTO block VALUES(?,?,?,?,?)", group)
            insert("INSERT INTO node VALUES(?,?,?)", store.nodes())
            insert("INSERT INTO checkpoint VALUES(?,?)", store.checkpoints())
            insert("INSERT INTO run_state VALUES(?,?,?)", store.states())
        os.replace(partial, path)
        sync_folder(directory)
    except (sqlite3.Error, OSError) as reason:
        raise LedgerError(f"{path}: expected to write a copy of the ledger, got: {reason}") from reason
    return path
