"""The commands `gridsettle ledger …` about who reads what: grants, and a member's account."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cosim.cli.errors import ANSWER_IS_NO, bad_input_ends, fail
from cosim.cli.members import Member, OperatorKey, parse_member
from cosim.cli.options import Directory
from cosim.cli.statements import Statements, read_key
from market import exchanges
from market.ledger.format import header as headers
from market.ledger.format import statements as formats
from market.ledger.private import vault as vaults
from market.ledger.read import account as accounts
from market.ledger.read import show
from market.ledger.store import store as stores

readers_app = typer.Typer()


@readers_app.command("grant")
def grant(
    directory: Directory,
    owner: Annotated[str, typer.Argument(help="Number of the member whose records they are, or 'operator'.")],
    reader: Annotated[int, typer.Argument(min=0, help="Number of the member that may read them.")],
    key: Annotated[Path, typer.Option(help="The owner's private key.")],
    withdraw: Annotated[bool, typer.Option("--withdraw", help="End the grant.")] = False,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME|DAYS", help="UTC time of the ledger at which the grant ends, or days from now."),
    ] = None,
    operator_key: OperatorKey = None,
) -> None:
    """Let a member read another's private records, for a time or without end, or no longer.

    Examples
    --------
      gridsettle ledger grant DIR 1 0 --key member-001.key --until 30

      gridsettle ledger grant DIR 1 0 --key member-001.key --until 2017-09-01
    """
    with bad_input_ends():
        who = parse_member(owner)
        if withdraw and until is not None:
            fail("--until: expected it without --withdraw, which ends a grant at once")
        own = read_key(key)
        statements = Statements(directory, operator_key or (key if who == exchanges.OPERATOR else None))
        readers_key, number = statements.key_of(reader), statements.next_number(who)
        end = 0 if until is None else parse_end(until, statements)
        chain = statements.chain_id
        statements.submit(formats.grant(chain, who, number, own, reader=reader, withdrawn=withdraw, until=end))
        if end:
            typer.echo(f"the grant ends with interval {end}, {statements.start_of(end):%Y-%m-%d %H:%M} UTC")
        if (path := vaults.vault_path(directory, who)).exists() and readers_key is not None:
            with vaults.Vault(path) as vault:
                vault.withdraw(readers_key) if withdraw else vault.share(own, readers_key)


def parse_end(text: str, statements: Statements) -> int:
    """First interval in which a grant until a time, or for some days from the ledger's end on, no longer holds."""
    now = statements.start_of(statements.interval)
    try:
        end = now + timedelta(days=float(text)) if is_number(text) else datetime.fromisoformat(text)
        end = end.replace(tzinfo=UTC) if end.tzinfo is None else end.astimezone(UTC)
        interval = statements.interval_at(end)
    except (ValueError, OverflowError):
        fail(f"--until: expected a time such as 2017-09-01T12:00 (UTC), or a number of days, got '{text}'")
    if not statements.interval < interval < 2**32:
        fail(f"--until: expected a time behind the ledger's end, which is {now:%Y-%m-%d %H:%M} UTC, got '{text}'")
    return interval


def is_number(text: str) -> bool:
    """Whether a text is a decimal number; a date is none."""
    return text.replace(".", "", 1).isdigit()


@readers_app.command("account")
def account(
    directory: Directory,
    member: Member,
    key: Annotated[Path | None, typer.Option(help="Private key of the reader: the member, or one it granted.")] = None,
    reader: Annotated[
        int | None, typer.Option("--as", min=0, help="Number of the reader. Default: the member itself.")
    ] = None,
    operator_key: OperatorKey = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Print a member's own transactions, balance and energy; with a grant those of another; exit code 1 without one.

    Reading another's account is recorded on the ledger.
    """
    with bad_input_ends():
        reading = member if reader is None else reader
        statements = Statements(directory, operator_key)
        own = find_reading_key(statements, key, reading, member)
        if reading != member and own is not None:
            number = statements.next_number(reading)
            statements.submit(formats.log_access(statements.chain_id, reading, number, own, owner=member))
        path, private = vaults.vault_path(directory, member), []
        if own is not None and path.exists():
            with vaults.Vault(path, to_read=True) as vault:
                private = vault.read(own)
        with stores.Store.open_to_read(directory) as store:
            entries = accounts.collect_entries(store, member, private)
            found = accounts.make_account(store, member, entries, private)
            lines = show.format_account(found, entries, headers.decode_header(store.block(0).header).version)
    typer.echo(json.dumps(found._asdict()) if as_json else "\n".join(lines))


def find_reading_key(statements: Statements, key: Path | None, reader: int, owner: int) -> Ed25519PrivateKey | None:
    """The reader's key once it may read the account; ends with exit code 1 if it may not.

    Houses that are no registered members have no keys: their records stand in the open.
    """
    in_force = statements.key_of(reader)
    if in_force is None and reader == owner and key is None:
        return None
    own = None if key is None else read_key(key)
    if own is None or own.public_key().public_bytes_raw() != in_force:
        typer.echo(
            f"REFUSED: expected the key of member {reader} (--key FILE), got {'none' if own is None else 'another'}"
        )
        raise typer.Exit(ANSWER_IS_NO)
    if not accounts.may_read(statements.registry, reader, owner, statements.interval):
        typer.echo(f"REFUSED: member {owner} has not granted its account to member {reader}; ask for a grant")
        raise typer.Exit(ANSWER_IS_NO)
    return own
