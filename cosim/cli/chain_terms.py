"""Options of the commands about chains, and the terms by which they send transactions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from cosim.cli.statements import PASSPHRASE
from market.contract import accounts, chain, sender, transactions
from market.ledger.crypto import keys

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
ReadPatience = Annotated[
    float, typer.Option("--patience", min=1, max=86_400, help="Seconds that all questions to the chain may take.")
]

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
            return keys.read_private_file(password_file).decode("utf-8", "replace").partition("\n")[0].rstrip("\r")
        return os.environ.get(PASSPHRASE) or str(typer.prompt(f"Password of {key}", hide_input=True, err=True))

    return accounts.read_account(key, ask)
