"""The commands `gridsettle ledger deploy|anchor`, and what `verify --anchor` and `run --chain` share with them."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from cosim.cli.errors import ANSWER_IS_NO, bad_input_ends, fail, make_printable
from cosim.cli.options import Directory
from cosim.cli.statements import PASSPHRASE
from market import errors
from market.contract import abi, accounts, anchoring, anchors, artifacts, beside, chain, sender, transactions
from market.ledger import durable
from market.ledger.check import receipt as receipts

chain_app = typer.Typer()

Url = Annotated[
    str,
    typer.Option("--rpc", metavar="URL", envvar="GRIDSETTLE_RPC", help="A node's JSON-RPC: http(s)://host:port/path."),
]
TrustedUrl = Annotated[
    str | None,
    typer.Option(
        "--rpc", metavar="URL", envvar="GRIDSETTLE_RPC", help="With --anchor: JSON-RPC of a node that you trust."
    ),
]
Key = Annotated[
    Path,
    typer.Option("--key", metavar="FILE", help="Key of the account: 64 hexadecimal digits, or a keystore; mode 600."),
]
Password = Annotated[
    Path | None,
    typer.Option(
        "--password-file", help="Password of a keystore. Default: $GRIDSETTLE_PASSPHRASE, else you are asked."
    ),
]
ChainId = Annotated[
    int | None,
    typer.Option("--chain-id", min=1, help="The chain that the node must be of. Default: it is asked and told."),
]
Confirmations = Annotated[
    int, typer.Option(min=1, max=10_000, help="Blocks that a transaction must have, its own counted, until it counts.")
]
MaxFee = Annotated[float, typer.Option("--max-fee", min=0, metavar="GWEI", help="Most that is paid for gas.")]
Patience = Annotated[float, typer.Option(min=1, max=86_400, help="Seconds that a transaction is waited for.")]

CONFIRMATIONS, MAX_FEE, PATIENCE = 3, 500.0, 900.0


class Terms(NamedTuple):
    """Node, account and terms by which transactions are sent."""

    url: str
    account: accounts.Account
    chain_id: int | None
    confirmations: int
    max_fee: float
    patience_s: float

    @contextmanager
    def open_sender(self) -> Iterator[sender.Sender]:
        """Open the chain, and who sends to it."""
        pace = sender.Pace(self.confirmations, patience_s=self.patience_s)
        with chain.open_chain(self.url, self.chain_id) as opened:
            yield sender.Sender(opened, self.account, pace, int(self.max_fee * transactions.GWEI))


def read_account(key: Path, password_file: Path | None) -> accounts.Account:
    """Account of a key file; the password of a keystore is read, or asked for."""

    def ask() -> str:
        if password_file is not None:
            return durable.read_text_bounded(password_file, "a file with a password").splitlines()[0]
        return os.environ.get(PASSPHRASE) or str(typer.prompt(f"Password of {key}", hide_input=True, err=True))

    return accounts.read_account(key, ask)


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
        terms = Terms(rpc, read_account(key, password_file), chain_id, confirmations, max_fee, patience)
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
        account, address = read_account(key, password_file), accounts.check_address(contract, "--contract")
        terms = Terms(rpc, account, chain_id, confirmations, max_fee, patience)
        with contradictions_end(directory):
            if pause_s is None:
                typer.echo(run_round(terms, address, directory))
            else:
                anchor_for_ever(terms, address, directory, pause_s)


def run_round(terms: Terms, address: str, directory: Path) -> str:
    """Anchor once; returns what was done, in words."""
    with terms.open_sender() as who:
        found = anchoring.Anchorer(who, address).run_round(directory)
    done = "anchored" if found.new else "anchored before, nothing is new"
    return (
        f"{directory}: {found.last.size:,} blocks {done}, root {found.last.root.hex()} "
        f"(contract {address}, chain {who.chain.chain_id})"
    )


def anchor_for_ever(terms: Terms, address: str, directory: Path, pause_s: float) -> None:
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


@contextmanager
def open_to_check(address: str, url: str | None, chain_id: int | None) -> Iterator[tuple[chain.Chain, str]]:
    """Open a chain to read from a contract there; with its address as it is to be spelled."""
    if url is None:
        fail("--anchor: expected the URL of a node (--rpc, or $GRIDSETTLE_RPC), got none")
    spelled = accounts.check_address(address, "--anchor")
    with chain.open_chain(url, chain_id) as opened:
        yield opened, spelled


def check_anchored(
    directory: Path, address: str, url: str | None, chain_id: int | None, confirmations: int
) -> anchors.Anchored:
    """What a chain says of a ledger."""
    with open_to_check(address, url, chain_id) as (opened, spelled):
        return anchors.check_anchors(opened, spelled, directory, confirmations)


def find_unproven(
    receipt: receipts.Receipt,
    proven: receipts.Proven,
    address: str,
    url: str | None,
    chain_id: int | None,
    confirmations: int,
) -> str:
    """Why a contract does not prove what a receipt does; nothing if it does."""
    with open_to_check(address, url, chain_id) as (opened, spelled):
        return anchors.find_unproven(opened, spelled, receipt, proven.checkpoint_size, confirmations)


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


class Wanted(NamedTuple):
    """How a run is to be anchored, as given on the command line."""

    url: str | None
    contract: str | None
    key: Path | None
    password_file: Path | None
    chain_id: int | None
    confirmations: int
    every: int


def begin_beside(wanted: Wanted, directory: Path) -> beside.Beside | None:
    """Begin to anchor a run, once node, account and contract are known to be usable; None if it is not wanted."""
    if wanted.url is None:
        for option, value in (("--contract", wanted.contract), ("--chain-key", wanted.key)):
            if value is not None:
                fail(f"{option}: expected --chain URL with it, got none")
        return None
    if wanted.contract is None or wanted.key is None:
        fail("--chain: expected --contract ADDRESS and --chain-key FILE with it, got one or none of them")
    account, address = (
        read_account(wanted.key, wanted.password_file),
        accounts.check_address(wanted.contract, "--contract"),
    )
    terms = Terms(wanted.url, account, wanted.chain_id, wanted.confirmations, MAX_FEE, PATIENCE)

    @contextmanager
    def open_anchorer() -> Iterator[anchoring.Anchorer]:
        with terms.open_sender() as who:
            yield anchoring.Anchorer(who, address)

    with open_anchorer():
        pass  # what cannot be used is told before the run begins
    return beside.Beside(directory, open_anchorer, wanted.every)


def end_beside(running: beside.Beside | None, directory: Path, *, quiet: bool) -> None:
    """Anchor the end of a run; exit code 1 if that fails, since the run itself is done."""
    if running is None:
        return
    failure = running.finish()
    if not failure and not quiet:
        typer.echo(f"{directory}: {running.n_anchored:,} blocks anchored")
    if failure:
        typer.echo(f"gridsettle: {make_printable(failure)}", err=True)
        typer.echo(
            "gridsettle: the run is finished, not all of it is anchored; go on with: gridsettle ledger anchor "
            f"{directory}",
            err=True,
        )
        raise typer.Exit(ANSWER_IS_NO)
