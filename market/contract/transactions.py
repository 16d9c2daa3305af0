"""Transactions as they are signed, kept and replaced; as JSON they go into files, for they hold no secret."""

from __future__ import annotations

from typing import Any, NamedTuple

from market.contract.accounts import Account, recover_signer
from market.contract.chain import Chain
from market.contract.extra import import_extra
from market.contract.fields import read_entry, read_hex, read_list, read_number
from market.errors import ChainError

GWEI = 10**9

LEAST_GAS, MOST_GAS = 21_000, 12_000_000
"""Gas that every transaction takes, and that none here does: a node may say anything."""

MOST_VERSIONS = 256
"""Versions of one transaction: more than lead in eighths from 1 wei to any fee that is paid; a file may say more."""

MOST_DATA = 1 << 17
"""Bytes of the longest transaction that nodes pass on."""

MOST_NONCE, MOST_PRICE = (1 << 64) - 2, 1 << 96
"""Greatest number of a transaction (EIP-2681), and a price, wei per gas, that nobody can pay."""


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


def read_sent(shown: dict[str, Any], where: str = "transaction") -> Sent:
    """The transaction of `show_sent`; raises FieldError where it is none."""
    draft = Draft(
        _read_address(shown, where),
        read_hex(shown, where, "data", 0, MOST_DATA),
        read_number(shown, where, "gas", LEAST_GAS, MOST_GAS),
        read_number(shown, where, "nonce", 0, MOST_NONCE),
    )
    listed = read_list(shown, where, "versions", 1, MOST_VERSIONS)
    return Sent(draft, tuple(_read_version(each, f"{where}.versions[{k}]") for k, each in enumerate(listed)))


def _read_version(value: Any, where: str) -> Version:
    each = read_entry(value, where)
    price = read_number(each, where, "price", 0, MOST_PRICE)
    tip = None if each.get("tip") is None else read_number(each, where, "tip", 0, price)
    raw = read_hex(each, where, "raw", 1, MOST_DATA + 1024)
    return Version(read_hex(each, where, "hash", 32, 32), raw, Fees(price, tip))


def _read_address(shown: dict[str, Any], where: str) -> str | None:
    to = shown.get("to")
    bare = to[2:] if isinstance(to, str) and to[:2] == "0x" else "none"
    return None if to is None else f"0x{bare}" if read_hex({"to": bare}, where, "to", 20, 20) else None


def find_foreign(sent: Sent, chain_id: int, address: str) -> str:
    """What of a transaction this account did not sign for this chain; nothing if it signed all versions as they stand.

    Parameters
    ----------
    sent
        As read from a file that anybody may have written.
    chain_id, address
        The chain, and the account.

    Notes
    -----
    Every version is taken apart (EIP-155, EIP-1559) and must be the draft's fields with its fees, field by field, have
    its hash, and the account's signature.
    """
    for k, version in enumerate(sent.versions):
        if what := _find_difference(version, sent.draft, chain_id, address):
            return f"versions[{k}].{what}"
    return ""


def _find_difference(version: Version, draft: Draft, chain_id: int, address: str) -> str:
    found = _take_apart(version)
    if not found:
        return "raw to be a signed transaction"
    for name, wanted in _list_fields(draft, version.fees, chain_id):
        if found.get(name) != wanted:
            return f"raw to be signed with the {name} that stands beside it"
    if version.fees.tip is None and found["v"] not in (_number(2 * chain_id + 35), _number(2 * chain_id + 36)):
        return f"raw to be signed for chain {chain_id}"
    if version.hash != bytes(import_extra("eth_utils").keccak(version.raw)):
        return "hash to be that of its raw"
    signer = recover_signer(version.raw)
    return "" if signer == address else f"raw to be signed by {address}"


_TYPED = ("chain id", "nonce", "tip", "price", "gas", "to", "value", "data", "access list", "v", "r", "s")
_LEGACY = ("nonce", "price", "gas", "to", "value", "data", "v", "r", "s")


def _take_apart(version: Version) -> dict[str, Any]:
    """Fields of a signed transaction by their names; none where it is no transaction of that kind."""
    names, is_typed = (_LEGACY, False) if version.fees.tip is None else (_TYPED, True)
    if is_typed and version.raw[:1] != b"\2":
        return {}
    try:
        listed = import_extra("rlp").decode(version.raw[is_typed:])
    except ChainError:
        raise
    except Exception:  # the library's errors have no common base; all say that it is something else
        return {}
    return dict(zip(names, listed, strict=True)) if isinstance(listed, list) and len(listed) == len(names) else {}


def _list_fields(draft: Draft, fees: Fees, chain_id: int) -> list[tuple[str, Any]]:
    to = b"" if draft.to is None else bytes.fromhex(draft.to[2:])
    fields = {"nonce": draft.nonce, "price": fees.price, "gas": draft.gas, "value": 0}
    typed = {} if fees.tip is None else {"chain id": chain_id, "tip": fees.tip}
    listed: list[tuple[str, Any]] = [(name, _number(value)) for name, value in {**typed, **fields}.items()]
    return [*listed, ("to", to), ("data", draft.data), *([("access list", [])] if typed else [])]


def _number(value: int) -> bytes:
    """A whole number as RLP holds it: big-endian, as short as can be."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
