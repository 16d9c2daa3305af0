"""Transactions as they are signed, kept and replaced; as JSON they go into files, for they hold no secret."""

from __future__ import annotations

from typing import Any, NamedTuple

from market.contract.accounts import Account
from market.contract.chain import Chain
from market.errors import ChainError

GWEI = 10**9


class Fees(NamedTuple):
    """What is paid at most for gas, and of it to a block's maker, wei per gas; no tip on a chain without EIP-1559."""

    price: int
    tip: int | None


class Draft(NamedTuple):
    """A transaction before its fees: receiver (None makes a contract), data, greatest gas, and number (nonce)."""

    to: str | None
    data: bytes
    gas: int
    nonce: int


class Version(NamedTuple):
    """A signed transaction; others with the same number replace it, and only one of them is ever carried out."""

    hash: bytes
    raw: bytes
    fees: Fees


class Sent(NamedTuple):
    """A transaction and its versions, the newest last."""

    draft: Draft
    versions: tuple[Version, ...]

    @property
    def newest(self) -> Version:
        """The version to hand in."""
        return self.versions[-1]


def choose_fees(chain: Chain) -> Fees:
    """Fees by which a transaction is soon carried out: twice the base fee, which a block changes by an eighth at most.

    Chains without EIP-1559 say a price.
    """
    base = chain.block().base_fee
    if base is None:
        return Fees(chain.gas_price(), None)
    tip = chain.tip()
    return Fees(2 * base + tip, tip)


def raise_fees(old: Fees, market: Fees) -> Fees:
    """Fees of a version that nodes take in place of an older one: an eighth more at least (they ask for a tenth).

    Examples
    --------
    >>> raise_fees(Fees(80, 16), Fees(50, 2))
    Fees(price=91, tip=19)
    """
    if old.tip is None or market.tip is None:
        return Fees(max(old.price * 9 // 8 + 1, market.price), old.tip)
    return Fees(max(old.price * 9 // 8 + 1, market.price), max(old.tip * 9 // 8 + 1, market.tip))


def sign(account: Account, chain_id: int, draft: Draft, fees: Fees) -> Version:
    """Sign a transaction with these fees (EIP-1559, or EIP-155 where there is no tip)."""
    fields: dict[str, Any] = {"chainId": chain_id, "nonce": draft.nonce, "gas": draft.gas, "value": 0}
    fields |= {"data": draft.data} if draft.to is None else {"data": draft.data, "to": bytes.fromhex(draft.to[2:])}
    if fees.tip is None:
        fields["gasPrice"] = fees.price
    else:
        fields |= {"type": 2, "maxFeePerGas": fees.price, "maxPriorityFeePerGas": fees.tip}
    raw, digest = account.sign(fields)
    return Version(digest, raw, fees)


def check_fees(fees: Fees, most: int, chain: Chain) -> None:
    """Check that fees are not above what the user allows: a node may say anything.

    Raises
    ------
    ChainError
        If they are.
    """
    if fees.price > most:
        raise ChainError(
            f"{chain.rpc.name}: expected gas for at most {most / GWEI:g} gwei, got {fees.price / GWEI:g}; "
            "wait until it is cheaper, or allow it with --max-fee"
        )


def show_sent(sent: Sent) -> dict[str, Any]:
    """A transaction as JSON."""
    draft = sent.draft
    return {
        "to": draft.to,
        "data": draft.data.hex(),
        "gas": draft.gas,
        "nonce": draft.nonce,
        "versions": [
            {"hash": v.hash.hex(), "raw": v.raw.hex(), "price": v.fees.price, "tip": v.fees.tip} for v in sent.versions
        ],
    }


def read_sent(shown: dict[str, Any]) -> Sent:
    """The transaction of `show_sent`; raises KeyError, TypeError or ValueError where it is none."""
    draft = Draft(shown["to"], bytes.fromhex(shown["data"]), int(shown["gas"]), int(shown["nonce"]))
    versions = tuple(
        Version(bytes.fromhex(each["hash"]), bytes.fromhex(each["raw"]), Fees(int(each["price"]), _tip(each["tip"])))
        for each in shown["versions"]
    )
    if not versions:
        raise ValueError("no version")
    return Sent(draft, versions)


def _tip(value: Any) -> int | None:
    return None if value is None else int(value)
