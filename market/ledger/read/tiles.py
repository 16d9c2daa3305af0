"""What a log answers under the paths of C2SP tlog-tiles, read from a stored ledger.

The one source of both a folder for a static web server and a server of our own.
"""

from __future__ import annotations

from market.errors import LedgerError
from market.ledger.format.quorum import Quorum, count_cosigners, read_quorum
from market.ledger.format.records import read_parameters
from market.ledger.format.tiles import (
    CHECKPOINT,
    ENTRIES,
    RECORDS,
    WIDTH,
    WITNESSED,
    Tile,
    join_body,
    join_entries,
    parse_tile,
)
from market.ledger.store.store import Store
from market.ledger.store.tip import decode_records

FOREVER = "public, max-age=31536000, immutable"
NOT_KEPT = "no-store"


def read_path(store: Store, path: str) -> bytes | None:
    """What a log serves under a path; None where there is nothing.

    Parameters
    ----------
    store
        The ledger; only what is public on it is given out.
    path
        Path below the log's prefix, such as `/checkpoint` or `/tile/0/x001/067.p/8`, with or without the first slash.

    Raises
    ------
    LedgerError
        If the ledger is damaged.
    """
    path = path.removeprefix("/")
    if path == CHECKPOINT:
        note = store.last_checkpoint()
    elif path == WITNESSED:
        note = find_witnessed(store)
    else:
        tile = parse_tile(path)
        return None if tile is None else read_tile(store, tile)
    return None if note is None else note.encode()


def is_immutable(path: str) -> bool:
    """Whether what is served under a path never changes, so that it may be kept for ever."""
    return parse_tile(path.removeprefix("/")) is not None


def list_headers(path: str) -> dict[str, str]:
    """Headers of HTTP of the answer under a path: type of the content, and for how long it may be kept."""
    if is_immutable(path):
        return {"Content-Type": "application/octet-stream", "Cache-Control": FOREVER}
    return {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": NOT_KEPT}


def read_tile(store: Store, tile: Tile) -> bytes | None:
    """Content of a tile; None if the ledger is too short for it."""
    if tile.stop >= 2**48:
        return None
    if tile.kind == ENTRIES:
        headers = store.headers_from(tile.first, tile.stop)
        return join_entries(headers) if len(headers) == tile.width else None
    if tile.kind == RECORDS:
        bodies = [join_body(*body) for body in store.bodies_from(tile.first, tile.stop)]
        return b"".join(bodies) if len(bodies) == tile.width else None
    nodes = store.nodes_from(8 * int(tile.kind), tile.first, tile.stop)
    return b"".join(nodes) if len(nodes) == tile.width <= WIDTH else None


def read_terms_of_quorum(store: Store) -> Quorum | None:
    """Quorum that the first block of a ledger states, None for none.

    Raises
    ------
    LedgerError
        If there is no first block, or it states one that cannot be.
    """
    return read_quorum(read_parameters(decode_records(store.block(0).records)))


def find_witnessed(store: Store, most: int | None = None) -> str | None:
    """Note of the largest checkpoint, of at most `most` blocks, that the ledger's quorum has cosigned; None for none.

    Signatures of the operator are not verified.
    """
    if store.size() == 0 or (quorum := read_terms_of_quorum(store)) is None:
        return None
    newest_first = (note for size, note in reversed(store.checkpoints()) if most is None or size <= most)
    return next((note for note in newest_first if _reaches(note, quorum)), None)


def _reaches(note: str, quorum: Quorum) -> bool:
    try:
        return count_cosigners(note, quorum) >= quorum.needed
    except LedgerError:
        return False
