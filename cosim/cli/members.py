"""The commands `gridsettle ledger …` about members: their keys and devices, and the requests that they leave."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cosim.cli.errors import ANSWER_IS_NO, bad_input_ends, fail
from cosim.cli.options import Directory, LinesAsJson
from cosim.cli.statements import PASSPHRASE, Statements, choose_requests, list_waiting, read_key
from market import exchanges
from market.ledger import durable
from market.ledger.crypto import keys
from market.ledger.format import checkpoint, note, records
from market.ledger.format import statements as formats
from market.ledger.private import vault as vaults
from market.ledger.read import show
from market.ledger.store import registry, tip
from market.ledger.store import store as stores
from market.ledger.write import requests

members_app = typer.Typer()

LARGEST_DATASHEET = 1 << 26

Member = Annotated[
    int, typer.Argument(min=0, help="Number of the member; for a house its ledger index, which counts from 0.")
]
OperatorKey = Annotated[
    Path | None,
    typer.Option(help="The operator's private key. Default: the demonstration key, where the ledger uses it."),
]
Effective = Annotated[
    int | None, typer.Option(help="Height of the first block it counts for. Default: the next but one.")
]


def parse_member(text: str) -> int:
    """Number of a member on the ledger from what the user wrote."""
    if not re.fullmatch(r"operator|[0-9]{1,9}", text):
        fail(f"member: expected a number from 0 on or 'operator', got '{text}'")
    return exchanges.OPERATOR if text == "operator" else int(text)


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
            public = keys.write_key_pair(folder / f"{name}.key", key, secret if name == "operator" else None)
            typer.echo(f"{folder / name}.key  {public}  {keys.pseudonym(keys.public_bytes(key))}")
    typer.echo(f'Sign a run with it: [ledger] operator_key = "{folder / "operator.key"}" in its scenario.')


@members_app.command("members")
def members(directory: Directory, as_json: LinesAsJson = False) -> None:
    """List members with their keys in force, devices, grants, requests that wait, and the log's verifier key."""
    with bad_input_ends(), stores.Store.open_to_read(directory) as store:
        end = tip.read_tip(store)
        lines = show.show_registry(end.registry, end.history.size, end.next_interval)
        key = registry.find_operators_key(end.registry, end.history.size) or b""
        origin = checkpoint.log_origin(end.header.chain_id)
        lines.append({"log": note.VerifierKey(origin, note.ED25519, key).text()})
        lines += list_waiting(directory)
    show_lines(lines, as_json=as_json)


def show_lines(lines: Iterable[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print each line's fields, name=value or as one JSON object."""
    for line in lines:
        typer.echo(json.dumps(line) if as_json else "  ".join(f"{name}={value}" for name, value in line.items()))


@members_app.command("register")
def register(
    directory: Directory,
    member: Member,
    key: Annotated[Path, typer.Option(help="The member's private key; it signs for itself.")],
    role: Annotated[str, typer.Option(help="participant or auditor")] = "participant",
    last_key: Annotated[
        Path | None, typer.Option(help="The key that the operator ended: with it the new one need not wait.")
    ] = None,
    effective: Effective = None,
    operator_key: OperatorKey = None,
) -> None:
    """Register a member with its key; in place of a key that the operator ended, it waits unless that key signs too."""
    roles = {"participant": records.Role.PARTICIPANT, "auditor": records.Role.AUDITOR}
    with bad_input_ends():
        statements = Statements(directory, operator_key)
        if role not in roles:
            fail(f"--role: expected participant or auditor, got '{role}'")
        own, number = read_key(key), statements.next_number(member)
        height = statements.effective_height(effective)
        last = None if last_key is None else read_key(last_key)
        statements.submit(formats.register(statements.chain_id, member, roles[role], number, height, own, last))
        tell_replacement(directory, member)


def tell_replacement(directory: Path, member: int) -> None:
    """Say from when on a member's newest key counts, if it has to wait."""
    with stores.Store.open_to_read(directory) as store:
        end = tip.read_tip(store)
    waiting = [tenure for who, tenure in registry.list_replacements(end.registry) if who == member]
    if waiting and end.next_interval < waiting[-1].from_interval < registry.NEVER:
        typer.echo(
            f"member {member}: its key was ended by the operator, so the new one counts from interval "
            f"{waiting[-1].from_interval} on (now {end.next_interval}); everybody sees it until then"
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
    with bad_input_ends():
        who = parse_member(member)
        old, new = read_key(key), read_key(new_key)
        statements = Statements(directory, operator_key or (key if who == exchanges.OPERATOR else None))
        role, number = statements.role_of(who), statements.next_number(who)
        height = statements.effective_height(effective)
        statements.submit(formats.rotate(statements.chain_id, who, role, number, height, old, new))
        if (path := vaults.vault_path(directory, who)).exists():
            with vaults.Vault(path) as vault:
                vault.share(old, new.public_key().public_bytes_raw())


@members_app.command("revoke")
def revoke(
    directory: Directory,
    member: Member,
    key: Annotated[
        Path | None, typer.Option(help="The member's private key: then its number is free for another at once.")
    ] = None,
    effective: Effective = None,
    operator_key: OperatorKey = None,
) -> None:
    """End a member's key, such as a lost one; the operator's word is enough, but then the next key has to wait."""
    with bad_input_ends():
        statements = Statements(directory, operator_key, needs_operator=key is None)
        role, number = statements.role_of(member), statements.next_number(member)
        own, height = None if key is None else read_key(key), statements.effective_height(effective)
        statements.submit(formats.revoke(member, role, number, height, statements.chain_id, own))


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
    datasheet: Annotated[Path | None, typer.Option(help="File that describes it; its SHA-256 is recorded.")] = None,
    retire: Annotated[bool, typer.Option("--retire", help="The device leaves.")] = False,
    operator_key: OperatorKey = None,
) -> None:
    """Register a device under a member, or retire it."""
    with bad_input_ends():
        statements = Statements(directory, operator_key)
        if kind.upper() not in records.DeviceKind.__members__:
            fail(f"--kind: expected pv, battery or fuel_cell, got '{kind}'")
        described = b"" if datasheet is None else durable.read_bounded(datasheet, "a readable file", LARGEST_DATASHEET)
        statements.submit(
            formats.make_device_record(
                statements.chain_id,
                member,
                statements.next_number(member),
                read_key(key),
                device=number,
                kind=records.DeviceKind[kind.upper()],
                bus=bus,
                power_w=power_w,
                energy_wh=energy_wh,
                datasheet=sha256(described).digest(),
                joins=not retire,
            )
        )


@members_app.command("admit")
def admit(
    directory: Directory,
    wanted: Annotated[
        list[str] | None, typer.Argument(metavar="[NUMBER|NAME]...", help="Requests to admit, as --list shows them.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Admit every request that waits.")] = False,
    only_list: Annotated[bool, typer.Option("--list", help="List the requests that wait, and admit none.")] = False,
    operator_key: OperatorKey = None,
    as_json: LinesAsJson = False,
) -> None:
    """Admit requests that wait, as the operator; exit code 1 if one is refused.

    Examples
    --------
      gridsettle ledger admit DIR --list

      gridsettle ledger admit DIR 1 3
    """
    with bad_input_ends():
        if only_list:
            show_lines(list_waiting(directory), as_json=as_json)
            return
        statements = Statements(directory, operator_key, needs_operator=True)
        waiting = requests.list_requests(directory)
        if not waiting:
            typer.echo("no request waits")
            return
        refused = statements.admit(waiting if every else choose_requests(waiting, wanted or []))
    if refused:
        raise typer.Exit(ANSWER_IS_NO)
