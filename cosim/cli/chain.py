"""The commands `gridsettle ledger deploy|anchor`: a contract on a chain, and anchors of a ledger there."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cosim.cli import chain_terms
from cosim.cli.chain_terms import (
    CONFIRMATIONS,
    MAX_FEE,
    PATIENCE,
    ChainId,
    Confirmations,
    Key,
    MaxFee,
    Password,
    Patience,
    Url,
)
from cosim.cli.errors import ANSWER_IS_NO, bad_input_ends, fail, make_printable
from cosim.cli.options import Directory
from market import errors
from market.contract import abi, accounts, anchoring, anchors, artifacts

chain_app = typer.Typer()


@chain_app.command("deploy")
def deploy(
    rpc: Url,
    key: Key,
    contract: Annotated[str, typer.Option(metavar="NAME", help="Contract to make.")] = "anchor",
    ledger: Annotated[
        Path | None,
        typer.Option(help="Run directory whose ledger the anchors are of. Default: that of the first anchor."),
    ] = None,
    argument: Annotated[
        list[str] | None, typer.Option(help="Argument of another contract's constructor; repeated, in order.")
    ] = None,
    password_file: Password = None,
    chain_id: ChainId = None,
    confirmations: Confirmations = CONFIRMATIONS,
    max_fee: MaxFee = MAX_FEE,
    patience: Patience = PATIENCE,
    as_json: Annotated[bool, typer.Option("--json", help="Print address, block and gas as JSON.")] = False,
) -> None:
    """Make a contract on a chain; the account that makes it is its operator. Needs the extra evm.

    Examples
    --------
      gridsettle ledger deploy --rpc http://127.0.0.1:8545 --key account.key

      gridsettle ledger deploy --rpc https://node.example/v3/PROJECT --key keystore.json --chain-id 11155111
    """
    with bad_input_ends():
        artifact = artifacts.read_artifact(_find_artifact(contract))
        values = _list_arguments(artifact, ledger, argument or [])
        terms = chain_terms.Terms(
            rpc, chain_terms.read_account(key, password_file), chain_id, confirmations, max_fee, patience
        )
        with terms.open_sender() as who:
            made, receipt = anchoring.deploy(who, artifact, values)
        address = accounts.check_address(made.address, "address")
    if as_json:
        found = {"contract": artifact.name, "address": address, "chain_id": who.chain.chain_id}
        typer.echo(json.dumps({**found, "block": receipt.block, "gas": receipt.gas}))
        return
    typer.echo(f"{artifact.name} at {address}, made by {terms.account.address}")
    typer.echo(f"chain {who.chain.chain_id}, block {receipt.block:,}, {receipt.gas:,} gas")


def _find_artifact(name: str) -> str:
    names = {each.lower(): each for each in artifacts.list_artifacts()}
    return names.get(name.lower()) or fail(f"--contract: expected one of {', '.join(sorted(names))}, got '{name[:40]}'")


def _list_arguments(artifact: artifacts.Artifact, ledger: Path | None, texts: list[str]) -> list[object]:
    if artifact.name != "Anchor":
        return (
            fail("--ledger: expected --contract anchor, got another")
            if ledger
            else abi.parse_arguments(artifact, texts)
        )
    if texts:
        fail("--argument: expected --ledger DIR or nothing for the contract of anchors, got arguments")
    return [anchors.NO_LOG if ledger is None else anchors.read_tree(ledger).chain_id]


@chain_app.command("anchor")
def anchor(
    directory: Directory,
    rpc: Url,
    contract: Annotated[str, typer.Option(metavar="ADDRESS", help="Contract that 'ledger deploy' made.")],
    key: Key,
    every: Annotated[
        str | None, typer.Option(metavar="TIME", help="Stay, and anchor again after this time: 90s, 30m, 24h, 7d.")
    ] = None,
    password_file: Password = None,
    chain_id: ChainId = None,
    confirmations: Confirmations = CONFIRMATIONS,
    max_fee: MaxFee = MAX_FEE,
    patience: Patience = PATIENCE,
) -> None:
    """Anchor the newest checkpoint on a chain; exit code 1 if the chain holds what this ledger is not.

    The contract takes an anchor only with a proof that the ledger extends the one before. What was sent is kept in
    anchors.json: a command that was killed is given again, and nothing is sent twice. Needs the extra evm.

    Examples
    --------
      gridsettle ledger anchor runs/default-001 --rpc http://127.0.0.1:8545 --contract 0x5FbDB2315678afecb367f032d93F642f64180aa3 --key account.key

      gridsettle ledger anchor DIR --rpc URL --contract ADDRESS --key account.key --every 24h
    """  # noqa: E501
    with bad_input_ends():
        pause_s = None if every is None else parse_duration(every)
        account, address = chain_terms.read_account(key, password_file), accounts.check_address(contract, "--contract")
        terms = chain_terms.Terms(rpc, account, chain_id, confirmations, max_fee, patience)
        with contradictions_end(directory):
            if pause_s is None:
                typer.echo(run_round(terms, address, directory))
            else:
                anchor_for_ever(terms, address, directory, pause_s)


def run_round(terms: chain_terms.Terms, address: str, directory: Path) -> str:
    """Anchor once; returns what was done, in words."""
    with terms.open_sender() as who:
        found = anchoring.Anchorer(who, address).run_round(directory)
    done = "anchored" if found.new else "anchored before, nothing is new"
    return (
        f"{directory}: {found.last.size:,} blocks {done}, root {found.last.root.hex()} "
        f"(contract {address}, chain {who.chain.chain_id})"
    )


def anchor_for_ever(terms: chain_terms.Terms, address: str, directory: Path, pause_s: float) -> None:
    """Anchor, wait, and again; a chain that cannot be used now is told once, and tried again after the same time."""
    said = ""
    while True:
        try:
            said = run_round(terms, address, directory)
            typer.echo(said)
        except anchors.ContradictedError:
            raise
        except errors.MarketError as reason:
            if str(reason) != said:
                said = str(reason)
                typer.echo(f"waiting: {make_printable(said)}", err=True)
        end = time.monotonic() + pause_s
        while time.monotonic() < end:
            time.sleep(min(0.2, pause_s))  # between two of these a Ctrl-C is answered


def parse_duration(text: str) -> float:
    """Seconds of a time such as 24h.

    Examples
    --------
    >>> parse_duration("24h"), parse_duration("90s")
    (86400.0, 90.0)
    """
    found = re.fullmatch(r"(\d{1,6})([smhd])", text, re.ASCII)
    seconds = 0.0 if found is None else float(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]]
    if not seconds:
        fail(f"--every: expected a time such as 90s, 30m, 24h or 7d, got '{text[:40]}'")
    return seconds


@contextmanager
def contradictions_end(directory: Path) -> Iterator[None]:
    """End with exit code 1 if the chain holds what a ledger is not."""
    try:
        yield
    except anchors.ContradictedError as reason:
        typer.echo(f"{directory}: NOT WHAT WAS ANCHORED: {make_printable(str(reason))}")
        raise typer.Exit(ANSWER_IS_NO) from None
