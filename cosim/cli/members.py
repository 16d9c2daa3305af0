"""The command `gridsettle ledger …`: keys, members, devices, grants, and a member's account.

Whoever has the operator's key admits a statement at once; everybody else leaves it as a request for the operator.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer

from cosim.cli.errors import bad_input_ends, fail
from cosim.cli.statements import PASSPHRASE, Statements, private_key, stating

members_app = typer.Typer()

Directory = Annotated[Path, typer.Argument(help="Run directory.")]
Member = Annotated[int, typer.Argument(min=0, help="Number of the member; a house's number for a house.")]
OperatorKey = Annotated[
    Path | None,
    typer.Option(
        help="The operator's private key. Default: the demonstration key, where the ledger uses it."
    ),
]
Effective = Annotated[
    int | None, typer.Option(help="Height of the first block it counts for. Default: the next but one.")
]
ANSWER_IS_NO = 1


def member_number(text: str) -> int:
    """Number of a member on the ledger from what the user wrote."""
    from market.exchanges import OPERATOR

    if text != "operator" and not text.isdigit():
        fail(f"member: expected a number from 0 on or 'operator', got '{text}'")
    return OPERATOR if text == "operator" else int(text)


@members_app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(help="Folder for the keys; made if it does not exist.")],
    members: Annotated[int, typer.Option(min=0, help="Also make keys for this many members.")] = 0,
    passphrase: Annotated[
        bool,
        typer.Option("--passphrase", help="Encrypt the operator's key with a passphrase that is asked for."),
    ] = False,
) -> None:
    """Make the operator's key, and members' keys, in files that only their owner can read."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from market.ledger.crypto.keys import pseudonym, public_bytes, write_key_pair

    with bad_input_ends():
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as reason:
            fail(f"{folder}: expected a folder that can be made, got {reason.strerror}")
        secret = None
        if passphrase:
            asked = os.environ.get(PASSPHRASE) or typer.prompt(
                "Passphrase", hide_input=True, confirmation_prompt=True, err=True
            )
            secret = asked.encode()
        for name in ("operator", *(f"member-{k:03d}" for k in range(members))):
            key = Ed25519PrivateKey.generate()
            public = write_key_pair(folder / f"{name}.key", key, secret if name == "operator" else None)
            typer.echo(f"{folder / name}.key  {public}  {pseudonym(public_bytes(key))}")
    typer.echo(f'Sign a run with it: [ledger] operator_key = "{folder / "operator.key"}" in its scenario.')


@members_app.command("members")
def members(
    directory: Directory,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List members with their keys in force, devices, grants, requests that wait, and the log's verifier key."""
    from market.exchanges import OPERATOR
    from market.ledger.format.checkpoint import origin_of
    from market.ledger.format.note import ED25519, VerifierKey
    from market.ledger.read.show import registry_fields
    from market.ledger.store.registry import key_in_force
    from market.ledger.store.store import Store
    from market.ledger.store.tip import tip_of
    from market.ledger.write.requests import waiting

    with bad_input_ends(), Store.open_to_read(directory) as store:
        tip = tip_of(store)
        lines = registry_fields(tip.registry, tip.history.size)
        key = key_in_force(tip.registry, OPERATOR, tip.history.size) or b""
        lines.append({"log": VerifierKey(origin_of(tip.header.chain_id), ED25519, key).text()})
        lines += [{"request": request.path.name} for request in waiting(directory)]
    for line in lines:
        typer.echo(
            json.dumps(line) if as_json else "  ".join(f"{name}={value}" for name, value in line.items())
        )


@members_app.command("register")
def register(
    directory: Directory,
    member: Member,
    key: Annotated[Path, typer.Option(help="The member's private key; it signs for itself.")],
    role: Annotated[str, typer.Option(help="participant or auditor")] = "participant",
    effective: Effective = None,
    operator_key: OperatorKey = None,
) -> None:
    """Register a member with its key."""
    from market.ledger.format.records import Role
    from market.ledger.format.statements import register as registered

    roles = {"participant": Role.PARTICIPANT, "auditor": Role.AUDITOR}
    with bad_input_ends(), stating(directory, operator_key) as desk:
        if role not in roles:
            fail(f"--role: expected participant or auditor, got '{role}'")
        own = private_key(key)
        desk.state(
            registered(
                desk.chain_id, member, roles[role], desk.number(member), desk.from_height(effective), own
            )
        )


@members_app.command("rotate")
def rotate(
    directory: Directory,
    member: Annotated[str, typer.Argument(help="Number of the member, or 'operator'.")],
    key: Annotated[Path, typer.Option(help="The private key in force.")],
    new_key: Annotated[Path, typer.Option(help="The next private key.")],
    effective: Effective = None,
    operator_key: OperatorKey = None,
) -> None:
    """Give a member, or the operator, another key."""
    from market.exchanges import OPERATOR
    from market.ledger.format.statements import rotate as rotated
    from market.ledger.private.vault import Vault, vault_path

    with bad_input_ends():
        number = member_number(member)
        old, new = private_key(key), private_key(new_key)
        with stating(directory, operator_key or (key if number == OPERATOR else None)) as desk:
            role = desk.role(number)
            desk.state(
                rotated(
                    desk.chain_id, number, role, desk.number(number), desk.from_height(effective), old, new
                )
            )
        if (path := vault_path(directory, number)).exists():
            with Vault(path) as vault:
                vault.share(old, new.public_key().public_bytes_raw())


@members_app.command("revoke")
def revoke(
    directory: Directory, member: Member, effective: Effective = None, operator_key: OperatorKey = None
) -> None:
    """End a member's key, such as a lost one; the operator's word is enough."""
    from market.ledger.format.statements import revoke as revoked

    with bad_input_ends(), stating(directory, operator_key, needs_operator=True) as desk:
        desk.state(revoked(member, desk.role(member), desk.number(member), desk.from_height(effective)))


@members_app.command("grant")
def grant(
    directory: Directory,
    owner: Annotated[str, typer.Argument(help="Number of the member whose records they are, or 'operator'.")],
    reader: Annotated[int, typer.Argument(min=0, help="Number of the member that may read them.")],
    key: Annotated[Path, typer.Option(help="The owner's private key.")],
    withdraw: Annotated[bool, typer.Option("--withdraw", help="End the grant.")] = False,
    operator_key: OperatorKey = None,
) -> None:
    """Let a member read another's private records, or no longer."""
    from market.exchanges import OPERATOR
    from market.ledger.format.statements import grant as granted
    from market.ledger.private.vault import Vault, vault_path

    with bad_input_ends():
        number = member_number(owner)
        own = private_key(key)
        with stating(directory, operator_key or (key if number == OPERATOR else None)) as desk:
            readers_key = desk.key_of(reader)
            desk.state(
                granted(desk.chain_id, number, desk.number(number), own, reader=reader, withdrawn=withdraw)
            )
        if (path := vault_path(directory, number)).exists() and readers_key is not None:
            with Vault(path) as vault:
                vault.withdraw(readers_key) if withdraw else vault.share(own, readers_key)


@members_app.command("device")
def device(
    directory: Directory,
    member: Member,
    number: Annotated[int, typer.Argument(min=0, help="Number of the device among the member's.")],
    key: Annotated[Path, typer.Option(help="The member's private key.")],
    kind: Annotated[str, typer.Option(help="pv, battery or fuel_cell")],
    bus: Annotated[int, typer.Option(min=0, help="Bus it connects to.")],
    power_w: Annotated[int, typer.Option(min=0, help="Rated power, W.")],
    energy_wh: Annotated[int, typer.Option(min=0, help="What it stores, Wh.")] = 0,
    datasheet: Annotated[
        Path | None, typer.Option(help="File that describes it; its SHA-256 is recorded.")
    ] = None,
    retire: Annotated[bool, typer.Option("--retire", help="The device leaves.")] = False,
    operator_key: OperatorKey = None,
) -> None:
    """Register a device under a member, or retire it."""
    from market.ledger.format.records import DeviceKind
    from market.ledger.format.statements import device_record

    with bad_input_ends(), stating(directory, operator_key) as desk:
        if kind.upper() not in DeviceKind.__members__:
            fail(f"--kind: expected pv, battery or fuel_cell, got '{kind}'")
        try:
            described = b"" if datasheet is None else datasheet.read_bytes()
        except OSError as reason:
            fail(f"{datasheet}: expected a readable file, got {reason.strerror}")
        desk.state(
            device_record(
                desk.chain_id,
                member,
                desk.number(member),
                private_key(key),
                device=number,
                kind=DeviceKind[kind.upper()],
                bus=bus,
                power_w=power_w,
                energy_wh=energy_wh,
                datasheet=sha256(described).digest(),
                joins=not retire,
            )
        )


@members_app.command("admit")
def admit(directory: Directory, operator_key: OperatorKey = None) -> None:
    """Admit the requests that wait, as the operator; exit code 1 if one is refused."""
    with bad_input_ends(), stating(directory, operator_key, needs_operator=True) as desk:
        refused = desk.admit_waiting()
    if refused:
        raise typer.Exit(ANSWER_IS_NO)


@members_app.command("account")
def account(
    directory: Directory,
    member: Member,
    key: Annotated[
        Path | None, typer.Option(help="Private key of the reader: the member, or one it granted.")
    ] = None,
    reader: Annotated[
        int | None, typer.Option("--as", min=0, help="Number of the reader. Default: the member itself.")
    ] = None,
    operator_key: OperatorKey = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Print a member's own transactions, balance and energy; with a grant those of another; exit code 1 without one.

    Reading another's account is recorded on the ledger.
    """
    from market.ledger.format.statements import access
    from market.ledger.private.vault import Vault, vault_path
    from market.ledger.read.account import account_of, entries_in_clear
    from market.ledger.read.show import account_lines
    from market.ledger.store.store import Store

    with bad_input_ends():
        reading = member if reader is None else reader
        desk = Statements(directory, operator_key)
        own = reading_key(desk, key, reading, member)
        if reading != member:
            desk.state(access(desk.chain_id, reading, desk.number(reading), own, owner=member))
        path, private = vault_path(directory, member), []
        if own is not None and path.exists():
            with Vault(path) as vault:
                private = vault.read(own)
        with Store.open_to_read(directory) as store:
            entries = entries_in_clear(store, member, private)
            found = account_of(store, member, entries)
    typer.echo(json.dumps(found._asdict()) if as_json else "\n".join(account_lines(found, entries)))


def reading_key(desk: Statements, key: Path | None, reader: int, owner: int) -> Any:
    """The reader's key once it may read the account; ends with exit code 1 if it may not.

    Houses that are no registered members have no keys: their records stand in the open.
    """
    from market.ledger.read.account import may_read

    in_force = desk.key_of(reader)
    if in_force is None and reader == owner and key is None:
        return None
    own = None if key is None else private_key(key)
    if own is None or own.public_key().public_bytes_raw() != in_force:
        typer.echo(
            f"REFUSED: expected the key of member {reader} (--key FILE), got {'none' if own is None else 'another'}"
        )
        raise typer.Exit(ANSWER_IS_NO)
    if not may_read(desk.registry, reader, owner):
        typer.echo(f"REFUSED: member {owner} has not granted its account to member {reader}; ask for a grant")
        raise typer.Exit(ANSWER_IS_NO)
    return own
