"""A small market, served: a street, people with wallets, and the records that their browsers would sign."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from eth_account import Account
from eth_account.messages import encode_defunct

from cosim.scenario.model import Scenario
from cosim.web.live.run import LiveRun
from cosim.web.pages.app import make_app
from cosim.web.pages.desk import Desk, open_desk
from cosim.web.people.limits import TokenBuckets
from cosim.web.people.site import make_site
from cosim.web.people.store import People
from market.ledger.format.records import DeviceKind, Role
from market.ledger.format.statements import grant, log_access, make_device_record, register

STREET = Scenario().with_changes(
    name="street",
    horizon={"hours": 60, "start": "2017-06-10T08:00:00Z"},
    houses={"n_houses": 5, "n_prosumers": 4, "mean_load_w": 3000.0, "production_ratio": 2.0},
    market={"feed_in": True},
    network={"n_branches": 1},
    limits={"min_vm_pu": 0.985, "max_vm_pu": 1.015},
)
"""Five houses in June: at noon house 0 sells to house 4, and what it would export is cut by the voltage."""
SITE = make_site("http://testserver")


@contextmanager
def open_market(directory: Path, scenario: Scenario = STREET, *, site: Any = SITE, **options: Any) -> Iterator[Desk]:
    """A market in a directory, without a server; its clock waits for steps."""
    with (
        LiveRun.open(scenario, directory) as live,
        People(directory) as people,
        open_desk(live, people, {site.domain: site}, **options) as desk,
    ):
        yield desk


def patient(desk: Desk) -> Desk:
    """The same with a sign-in that never says "too often": all people of a test have one address."""
    return replace(desk, sign_ins=TokenBuckets(1e6, 1e6))


def close_intervals(desk: Desk, n: int) -> None:
    """Close some intervals at once."""
    for _ in range(n):
        desk.live.close_interval()
    desk.tell()


def submission(house: int, first: int, number: int, *, net_wh: int = 0, last: int | None = None, **other: int) -> bytes:
    """A SUBMISSION record, byte by byte as docs/ledger-format.md has it."""
    fields = (house, net_wh, other.get("reserve_wh", 0), other.get("ask", 0), other.get("limit", -1))
    signed = b"".join(value.to_bytes(4, "little", signed=True) for value in fields)
    places = (number, first, first if last is None else last)
    return bytes([21, 1]) + bytes(10) + signed + b"".join(place.to_bytes(4, "little") for place in places) + bytes(28)


class InProcess(httpx.BaseTransport):
    """Hands requests to an application in this process."""

    def __init__(self, app: Any) -> None:
        self._transport = httpx.ASGITransport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        return asyncio.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = await self._transport.handle_async_request(request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


class Visitor:
    """Somebody with a browser: a wallet, a page's key, cookies.

    Parameters
    ----------
    desk
        The market.
    name
        Whom keys are derived from.
    """

    def __init__(self, desk: Desk, name: str = "") -> None:
        self.desk = desk
        self.client = httpx.Client(transport=InProcess(make_app(desk)), base_url=SITE.origin)
        self.wallet = Account.from_key(sha256(f"wallet of {name}".encode()).digest())
        self.key = Ed25519PrivateKey.from_private_bytes(sha256(f"page of {name}".encode()).digest())
        self.csrf = self.read_csrf("/signin")

    def read_csrf(self, path: str) -> str:
        """The token of a page."""
        found = re.search(r'<meta name="csrf" content="(\w+)">', self.client.get(path).text)
        return "" if found is None else found[1]

    def get(self, path: str) -> Any:
        """Load a page."""
        return self.client.get(path)

    def post(self, path: str, **fields: Any) -> Any:
        """Post JSON with the token."""
        return self.client.post(path, json=fields, headers={"X-CSRF-Token": self.csrf})

    def submit_form(self, path: str, **fields: Any) -> Any:
        """Post a form with the token."""
        return self.client.post(path, data={"csrf": self.csrf, **fields})

    def sign_in(self) -> Any:
        """Sign in with the wallet."""
        key = self.key.public_key().public_bytes_raw().hex()
        message = self.post("/signin/message", address=self.wallet.address, key=key).json()["message"]
        answer = self.post("/signin/wallet", message=message, signature=self.sign_message(message))
        self.csrf = self.read_csrf("/main")
        return answer

    def sign_message(self, message: str) -> str:
        """`personal_sign` of the wallet."""
        return "0x" + bytes(self.wallet.sign_message(encode_defunct(text=message)).signature).hex()

    def sign_in_as_operator(self) -> Any:
        """Sign in with a new code."""
        answer = self.submit_form("/signin/operator", code=self.desk.people.codes.make_code())
        self.csrf = self.read_csrf("/operator")
        return answer

    def number(self) -> int:
        """Number of this person."""
        persons = self.desk.people.persons.list_persons()
        return next(each.number for each in persons if each.subject == self.wallet.address.lower())

    def join(self, house: int) -> None:
        """Sign in, ask, be admitted to a house, and register the page's key."""
        self.sign_in()
        assert self.submit_form("/join", house=house + 1).status_code == 303
        self.desk.people.decisions.admit(self.number(), house)
        answer = self.post("/house/statement", records=self.sign_registration(house))
        assert answer.status_code == 200, answer.text

    def sign_registration(self, house: int) -> str:
        """The statement that registers the page's key, in hexadecimal."""
        told = self.get("/house/next").json()
        chain = bytes.fromhex(told["chain_id"])
        signed = register(chain, house, Role.PARTICIPANT, told["number"], told["effective"], self.key)
        return signed.tobytes().hex()

    def sign_submission(self, record: bytes) -> bytes:
        """Signature of a submission by the page's key."""
        return self.key.sign(
            b"gridsettle submission v1\0" + self.desk.live.chain_id + record[:4] + bytes(8) + record[12:]
        )

    def submit(self, record: bytes) -> Any:
        """Sign and post a submission."""
        return self.post("/house/submission", record=record.hex(), signature=self.sign_submission(record).hex())

    def state(self, house: int, what: str, **fields: Any) -> Any:
        """Sign and post a statement of a house: grant, withdraw, access or device."""
        chain, number = self.desk.live.chain_id, self.desk.live.next_number(house)
        if what == "device":
            known = {"device": 0, "kind": DeviceKind.PV, "power_w": 1000, "energy_wh": 0, "datasheet": bytes(32)}
            bus = int(self.desk.live.case.feeder.bus[house])
            signed = make_device_record(chain, house, number, self.key, **{"bus": bus, **known, **fields})
        elif what == "access":
            signed = log_access(chain, house, number, self.key, owner=fields["other"])
        else:
            withdrawn = what == "withdraw"
            signed = grant(chain, house, number, self.key, reader=fields["other"], withdrawn=withdrawn)
        return self.post("/house/statement", records=signed.tobytes().hex())
