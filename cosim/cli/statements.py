"""Where members' statements are handed in: to the operator, if its key is at hand, else left as requests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from cosim.cli.errors import fail

ANSWER_IS_NO = 1
PASSPHRASE = "GRIDSETTLE_PASSPHRASE"


def private_key(path: Path) -> Any:
    """Private key of a file; asks for its passphrase if it has one."""
    from market.ledger.crypto.keys import is_encrypted, read_private_key

    if not is_encrypted(path):
        return read_private_key(path)
    passphrase = os.environ.get(PASSPHRASE) or typer.prompt(
        f"Passphrase of {path}", hide_input=True, err=True
    )
    return read_private_key(path, passphrase.encode())


class Statements:
    """The desk of one ledger.

    Parameters
    ----------
    directory
        Run directory.
    operator_key
        File of the operator's key.
    """

    def __init__(self, directory: Path, operator_key: Path | None) -> None:
        from market.ledger.crypto.keys import public_bytes
        from market.ledger.format.header import demonstration_key
        from market.ledger.format.records import integer_parameter, read_parameters
        from market.ledger.store.store import Store
        from market.ledger.store.tip import read_operator_key as key_in_charge
        from market.ledger.store.tip import records_of, tip_of

        self.directory = directory
        with Store.open_to_read(directory) as store:
            tip = tip_of(store)
            seed = integer_parameter(read_parameters(records_of(store.block(0).records)), "seed")
        self.registry, self.chain_id, self.height = tip.registry, tip.header.chain_id, tip.history.size
        self.key = demonstration_key(seed) if operator_key is None else private_key(operator_key)
        if public_bytes(self.key) != key_in_charge(tip):
            if operator_key is not None:
                fail(f"{operator_key}: expected the key that signs this ledger, got another")
            self.key = None

    def number(self, member: int) -> int:
        """Number of a member's next statement."""
        from market.ledger.write.requests import number_for

        return number_for(self.registry, self.directory, member)

    def from_height(self, effective: int | None) -> int:
        """Height a key counts from: as given, else that behind the block that will hold the statement."""
        return self.height + 1 if effective is None else effective

    def role(self, member: int) -> Any:
        """Role of a known member."""
        from market.ledger.format.records import Role

        if member not in self.registry.roles:
            fail(f"member {member}: expected a registered member, found none; see gridsettle ledger members")
        return Role(self.registry.roles[member])

    def key_of(self, member: int) -> bytes | None:
        """Public key of a member in force."""
        from market.ledger.store.registry import key_in_force

        return key_in_force(self.registry, member, self.height)

    def state(self, records: Any) -> None:
        """Hand in a statement."""
        from market.ledger.write.requests import leave_request

        path = leave_request(self.directory, records)
        if self.key is None:
            typer.echo(f"left for the operator to admit: {path}")
        elif any(refusal.path == path for refusal in self.admit_waiting()):
            raise typer.Exit(ANSWER_IS_NO)

    def admit_waiting(self) -> list[Any]:
        """Admit what waits; returns what was refused."""
        from market.ledger.write.ledger import Ledger
        from market.ledger.write.requests import admit as admitted
        from market.ledger.write.requests import waiting

        requests = waiting(self.directory)
        if not requests:
            typer.echo("no request waits")
            return []
        with Ledger.resume(self.directory, self.key) as ledger:
            refused = admitted(ledger, requests)
            height = ledger.head().height
        for refusal in refused:
            typer.echo(f"REFUSED: {refusal.reason}")
        typer.echo(f"{len(requests) - len(refused)} admitted; the ledger ends with block {height}")
        return refused


@contextmanager
def stating(
    directory: Path, operator_key: Path | None, *, needs_operator: bool = False
) -> Iterator[Statements]:
    """Desk of a ledger; ends with a message if the operator's key is needed and not at hand."""
    desk = Statements(directory, operator_key)
    if needs_operator and desk.key is None:
        fail(f"{directory}: expected the operator's private key (--operator-key FILE), got none")
    yield desk
