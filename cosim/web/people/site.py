"""Where the web application is: what messages to wallets and passkeys are bound to."""

from __future__ import annotations

import re
from typing import NamedTuple

from cosim.web.people.errors import PeopleError
from market.ledger.durable import shorten

_ORIGIN = re.compile(r"(https?)://((?:[a-z0-9-]+\.)*[a-z0-9-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.ASCII)


class Site(NamedTuple):
    """The application as browsers see it.

    Attributes
    ----------
    origin
        Scheme, host and port, such as `http://localhost:8000`.
    domain
        Host and port: what a message to a wallet names.
    host
        Host alone: what passkeys are bound to.
    chain_id
        Number of the Ethereum chain (EIP-155) that messages name; nothing is ever sent to it.
    """

    origin: str
    domain: str
    host: str
    chain_id: int


def make_site(origin: str, chain_id: int = 1) -> Site:
    """Take an origin apart.

    Raises
    ------
    PeopleError
        If it is none, or the chain has no number above 0.

    Examples
    --------
    >>> make_site("http://localhost:8000").domain
    'localhost:8000'
    """
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        raise PeopleError(
            f"origin: expected http://HOST[:PORT] or https://… in lower case with no path, got {shorten(origin)}"
        )
    if not 0 < chain_id < 1 << 63:
        raise PeopleError(f"chain id: expected a number above 0 (EIP-155), got {chain_id}")
    _, host, port = found.groups()
    return Site(origin, f"{host}{port or ''}", host, chain_id)
