"""What a chain says of a ledger or a receipt: `verify --anchor` and `verify-receipt --anchor`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cosim.cli.errors import fail
from market.contract import accounts, anchors, chain, proving
from market.ledger.check import receipt as receipts


@contextmanager
def open_to_check(address: str, url: str | None, chain_id: int | None) -> Iterator[tuple[chain.Chain, str]]:
    """Open a chain to read from a contract there; with its address as it is to be spelled."""
    if url is None:
        fail("--anchor: expected the URL of a node (--rpc, or $GRIDSETTLE_RPC), got none")
    spelled = accounts.check_address(address, "--anchor")
    with chain.open_chain(url, chain_id) as opened:
        yield opened, spelled


def check_anchored(
    directory: Path, address: str, url: str | None, chain_id: int | None, confirmations: int, patience_s: float
) -> anchors.Anchored:
    """What a chain says of a ledger."""
    with open_to_check(address, url, chain_id) as (opened, spelled):
        return anchors.check_anchors(opened, spelled, directory, confirmations, patience_s)


def find_unproven(
    receipt: receipts.Receipt,
    proven: receipts.Proven,
    address: str,
    url: str | None,
    chain_id: int | None,
    confirmations: int,
    patience_s: float,
) -> str:
    """Why a contract does not prove what a receipt does; nothing if it does."""
    with open_to_check(address, url, chain_id) as (opened, spelled):
        return proving.find_unproven(opened, spelled, receipt, proven.checkpoint_size, confirmations, patience_s)


def describe_anchored(found: anchors.Anchored, n_blocks: int) -> list[str]:
    """What a chain says of a ledger, in words."""
    if found.contradiction:
        return [f"NOT WHAT WAS ANCHORED: {found.contradiction}"]
    if not found.anchors:
        return [f"NOT YET ANCHORED: the contract of {found.operator} has no anchor in block {found.block:,}."]
    n, last = len(found.anchors), found.anchors[-1].size
    lines = [
        f"Anchored: the first {last:,} blocks, {n:,} anchor{'s' * (n > 1)} by {found.operator} on chain "
        f"{found.chain_id}, each of them a root of this ledger."
    ]
    return lines if last == n_blocks else [*lines, f"NOT YET ANCHORED: the last {n_blocks - last:,} blocks."]
