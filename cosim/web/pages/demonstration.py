"""The demo wallet: keys that everybody can derive from the scenario's seed. Only with `--demo`."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from starlette.responses import JSONResponse, Response

from cosim.web.pages.refusals import RefusedError
from cosim.web.pages.visits import Visit
from cosim.web.people.wallet import import_extra

ACCOUNTS = 8
LONGEST = 4000


def make_demo_account(seed: int, number: int) -> Any:
    """Account `number` of the demo wallet.

    Examples
    --------
    >>> make_demo_account(1, 0).address == make_demo_account(1, 0).address != make_demo_account(1, 1).address
    True
    """
    return import_extra("eth_account").Account.from_key(
        sha256(f"gridsettle demo wallet v1 {seed} {number}".encode()).digest()
    )


def tell_demo_account(visit: Visit) -> Response:
    """Address of one of the demo wallet's accounts."""
    return JSONResponse({"address": _find_account(visit).address})


def sign_for_demo(visit: Visit) -> Response:
    """`personal_sign` of the demo wallet."""
    message = visit.blob("message", range(1, LONGEST))
    signed = _find_account(visit).sign_message(import_extra("eth_account.messages").encode_defunct(message))
    return JSONResponse({"signature": "0x" + bytes(signed.signature).hex()})


def _find_account(visit: Visit) -> Any:
    number = visit.whole("account", 0, ACCOUNTS - 1)
    if not visit.desk.demo:
        raise RefusedError(404, "There is no demo wallet here.")
    return make_demo_account(visit.desk.live.case.scenario.seed, number)
