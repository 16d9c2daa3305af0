"""Statements of members: how commands sign them, and where they hand them in.

Whoever has the operator's key admits a statement at once; everybody else leaves it as a request for the operator.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cosim.cli.errors import ANSWER_IS_NO, fail
from market.ledger.crypto import keys
from market.ledger.format import header
from market.ledger.format import records as formats
from market.ledger.read import show
from market.ledger.store import registry, tip
from market.ledger.store import store as stores
from market.ledger.write import ledger, requests

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PASSPHRASE = "GRIDSETTLE_PASSPHRASE"
"""Environment variable with the passphrase of an encrypted key; without it a command asks."""


def read_key(path: Path) -> Ed25519PrivateKey:
    """Private key of a file; asks for its passphrase if it has one."""
    if not keys.is_encrypted(path):
        return keys.read_private_key(path)
    passphrase = os.environ.get(PASSPHRASE) or typer.prompt(f"Passphrase of {path}", hide_input=True, err=True)
    return keys.read_private_key(path, passphrase.encode())


class Statements:
    """Where statements for the ledger of one run are numbered and handed in.

    Parameters
    ----------
    directory
        Run directory.
    operator_key
        File of the operator's key. Left out: the demonstration key, if the ledger uses it.
    needs_operator
        End with a message unless the operator's key is at hand.
    """

    def __init__(self, directory: Path, operator_key: Path | None, *, needs_operator: bool = False) -> None:
        self.directory = directory
        with stores.Store.open_to_read(directory) as store:
            end = tip.read_tip(store)
            parameters = formats.read_parameters(tip.decode_records(store.block(0).records))
            seed, start, minutes = (
                formats.read_integer_parameter(parameters, name) for name in ("seed", "start", "interval_minutes")
            )
        self._start_s, self._interval_s = start, 60 * max(minutes, 1)
        self.registry, self.chain_id = end.registry, end.header.chain_id
        self.height, self.interval = end.history.size, end.next_interval
        key = header.make_demonstration_key(seed) if operator_key is None else read_key(operator_key)
        self.key: Ed25519PrivateKey | None = key
        if keys.public_bytes(key) != tip.read_operator_key(end):
            if operator_key is not None:
                fail(f"{operator_key}: expected the key that signs this ledger, got another")
            self.key = None
        if needs_operator and self.key is None:
            fail(f"{directory}: expected the operator's private key (--operator-key FILE), got none")

    def next_number(self, member: int) -> int:
        """Number of a member's next statement."""
        return requests.find_next_number(self.registry, self.directory, member)

    def effective_height(self, given: int | None) -> int:
        """Height a key counts from: as given, else that behind the block that will hold the statement."""
        return self.height + 1 if given is None else given

    def start_of(self, interval: int) -> datetime:
        """Begin of an interval, UTC."""
        try:
            return datetime.fromtimestamp(self._start_s, UTC) + timedelta(seconds=interval * self._interval_s)
        except (ValueError, OverflowError, OSError):
            fail(f"{self.directory}: expected a ledger of our time, got one that begins {self._start_s} s from 1970")

    def interval_at(self, time: datetime) -> int:
        """Number of the first interval that does not begin before a time."""
        return -(-int(time.timestamp() - self._start_s) // self._interval_s)

    def role_of(self, member: int) -> formats.Role:
        """Role of a registered member; ends with a message if there is no such member."""
        if member not in self.registry.roles:
            fail(f"member {member}: expected a registered member, found none; see gridsettle ledger members")
        return formats.Role(self.registry.roles[member])

    def key_of(self, member: int) -> bytes | None:
        """Public key of a member in force."""
        return registry.find_key_in_force(self.registry, member, self.height, self.interval)

    def submit(self, records: formats.RecordBytes) -> None:
        """Hand in a statement; ends with exit code 1 if it is refused."""
        if self.key is not None:
            self._check_nothing_waits(records)
        path = requests.leave_request(self.directory, records)
        if self.key is None:
            typer.echo(f"left for the operator to admit: {path}")
        elif self.admit([request for request in requests.list_requests(self.directory) if request.path == path]):
            raise typer.Exit(ANSWER_IS_NO)

    def _check_nothing_waits(self, records: formats.RecordBytes) -> None:
        """End with a message if an earlier statement of the member waits: it could not be admitted any more."""
        member = requests.Request(self.directory, records, requests.parse_statement(records)).member
        for request in requests.list_requests(self.directory):
            if request.member == member:
                fail(
                    f"member {member}: expected no earlier statement that waits, found {request.path.stem}; "
                    f"gridsettle ledger admit {self.directory} {request.path.stem}, or remove {request.path}"
                )

    def admit(self, chosen: Sequence[requests.Request]) -> list[requests.Refusal]:
        """Admit requests, as the operator; returns what was refused."""
        if self.key is None:
            fail(f"{self.directory}: expected the operator's private key (--operator-key FILE), got none")
        with ledger.Ledger.resume(self.directory, self.key) as opened:
            refused = requests.admit_requests(opened, chosen)
            height = opened.head().height
        for refusal in refused:
            typer.echo(f"REFUSED: {refusal.reason}")
        typer.echo(f"{len(chosen) - len(refused)} admitted; the ledger ends with block {height}")
        return refused


def list_waiting(directory: Path) -> list[dict[str, Any]]:
    """The requests that wait, numbered from 1 on, with what each states."""
    waiting = requests.list_requests(directory)
    return [show.show_request(k, at.path.stem, at.statement.record) for k, at in enumerate(waiting, 1)]


def choose_requests(waiting: Sequence[requests.Request], wanted: Sequence[str]) -> list[requests.Request]:
    """Those of the waiting requests whose numbers or names were given; ends with a message where one is not there."""
    if not wanted:
        fail(f"expected the numbers or names of requests (see --list), or --all, got none; {len(waiting)} wait")
    known = {name: k for k, at in enumerate(waiting) for name in (str(k + 1), at.path.stem, at.path.name)}
    if unknown := [name for name in wanted if name not in known]:
        fail(f"request {unknown[0]}: expected a number from 1 to {len(waiting)} or a name (see --list), got another")
    chosen = sorted({known[name] for name in wanted})
    of = [request.member for request in waiting]
    for k in chosen:
        if left := [j for j in range(k) if of[j] == of[k] and j not in chosen]:
            fail(
                f"request {k + 1}: expected the earlier request {left[0] + 1} of member {of[k]} with it, which could "
                "not be admitted later; choose both, or remove the earlier one's file"
            )
    return [waiting[k] for k in chosen]
