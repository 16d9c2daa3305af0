"""Orders that members sign for the contract `Batch` (EIP-712); needs the extra `evm`.

A wallet shows what it signs: the interval, the tariff, the house, its net energy, what its battery does, what it asks
for up to which price, and a number. A signature holds for one contract on one chain, and for one interval.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from market.contract.batch import ORDER, unpack
from market.contract.extra import import_extra

_FIELDS = (
    ("interval", "uint32"),
    ("utility", "int64"),
    ("house", "uint16"),
    ("net", "int64"),
    ("charge", "int64"),
    ("limit", "int64"),
    ("ask", "uint8"),
    ("number", "uint32"),
)


class Place(NamedTuple):
    """Where and when an order holds: chain and contract, interval and tariff, the house's number."""

    chain_id: int
    contract: str
    interval: int
    utility_ueur_per_kwh: int
    house: int


def describe_order(place: Place, order: int) -> dict[str, Any]:
    """An order as `eth_signTypedData_v4` of wallets takes it.

    Parameters
    ----------
    place
        Where it holds.
    order
        The house's word of `market.contract.batch.pack_orders`.
    """
    values = (place.interval, place.utility_ueur_per_kwh, place.house, *unpack(ORDER, order))
    domain = {"name": "gridsettle Batch", "version": "1", "chainId": place.chain_id}
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Order": [{"name": name, "type": kind} for name, kind in _FIELDS],
        },
        "primaryType": "Order",
        "domain": domain | {"verifyingContract": place.contract},
        "message": {name: value for (name, _), value in zip(_FIELDS, values, strict=True)},
    }


def sign_order(key: bytes, place: Place, order: int) -> tuple[bytes, bytes]:
    """Sign an order; returns r, and s with the bit of v, 32 bytes each (EIP-2098).

    Parameters
    ----------
    key
        The member's, 32 bytes.
    place, order
        As `describe_order` takes them.
    """
    accounts = import_extra("eth_account").Account
    signed = accounts.sign_typed_data(key, full_message=describe_order(place, order))
    return signed.r.to_bytes(32, "big"), (signed.s | (signed.v - 27) << 255).to_bytes(32, "big")
