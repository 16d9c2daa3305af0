"""Statements of members: how commands sign them, and where they hand them in.

Whoever has the operator's key admits a statement at once; everybody else leaves it as a request for the operator.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cosim.cli.errors import ANSWER_IS_NO, fail
from market.ledger.crypto import keys
from market.ledger.format import header
from market.ledger.format import records as formats
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
            seed = formats.read_integer_parameter(parameters, "seed")
        self.registry, self.chain_id, self.height = end.registry, end.header.chain_id, end.history.size
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

    def role_of(self, member: int) -> formats.Role:
        """Role of a registered member; ends with a message if there is no such member."""
        if member not in self.registry.roles:
            fail(f"member {member}: expected a registered member, found none; see gridsettle ledger members")
        return formats.Role(self.registry.roles[member])

    def key_of(self, member: int) -> bytes | None:
        """Public key of a member in force."""
        return registry.find_key_in_force(self.registry, member, self.height)

    def submit(self, records: formats.RecordBytes) -> None:
        """Hand in a statement; ends with exit code 1 if it is refused."""
        path = requests.leave_request(self.directory, records)
        if self.key is None:
            typer.echo(f"left for the operator to admit: {path}")
        elif any(refusal.path == path for refusal in self.admit_requests()):
            raise typer.Exit(ANSWER_IS_NO)

    def admit_requests(self) -> list[requests.Refusal]:
        """Admit the requests that wait, as the operator; returns what was refused."""
        waiting = requests.list_requests(self.directory)
        if not waiting or self.key is None:
            typer.echo("no request waits")
            return []
        with ledger.Ledger.resume(self.directory, self.key) as opened:
            refused = requests.admit_requests(opened, waiting)
            height = opened.head().height
        for refusal in refused:
            typer.echo(f"REFUSED: {refusal.reason}")
        typer.echo(f"{len(waiting) - len(refused)} admitted; the ledger ends with block {height}")
        return refused
