"""A visit: a request, who makes it, and what it says. Every route goes through here, and states who may take it.

Authorisation has two halves: `Who` says who may take a route at all, and the routes look at the record, whose house it
names.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import IntEnum, StrEnum
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cosim.errors import ScenarioError
from cosim.results.labels import number_house
from cosim.web.pages.desk import Desk
from cosim.web.pages.names import Sight
from cosim.web.pages.refusals import RefusedError, answer_refusal, find_status
from cosim.web.people.persons import Person, State
from cosim.web.people.sessions import Session
from cosim.web.people.site import Site
from grid_models.errors import GridError
from market.errors import MarketError

logger = logging.getLogger(__name__)

LONGEST_BODY = 16 * 1024
MOST_FIELDS = 50
MOST_AT_ONCE = 4
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


class Who(IntEnum):
    """Who may take a route."""

    ANYBODY = 0
    PERSON = 1
    """Who has signed in, member or not."""
    MEMBER = 2
    """A person whom the operator has admitted to a house."""
    READER = 3
    """A member, or the operator; the route looks whose account is asked for."""
    OPERATOR = 4


class Visit(NamedTuple):
    """A request and who makes it.

    Attributes
    ----------
    desk, request, site
        What the pages work with, the request, and the origin under which it came.
    session
        Of a person or the operator; None of a stranger.
    csrf
        Token that this visitor's forms bear.
    guest
        What the token of a visitor without a session is made from; in a cookie of its own.
    fields
        What the body says, by name: texts of a form, any values of JSON.
    """

    desk: Desk
    request: Request
    site: Site
    session: Session | None
    csrf: str
    guest: str
    fields: Mapping[str, Any]

    @property
    def is_operator(self) -> bool:
        """Whether the operator asks."""
        return self.session is not None and self.session.is_operator

    @property
    def person(self) -> Person:
        """Who asks, on a route for persons."""
        if self.session is None or self.session.person is None:
            raise RefusedError(403, "This page is for people who take part.")
        return self.session.person

    @property
    def house(self) -> int:
        """House of the member who asks; refuses all others."""
        return find_house(self.person)

    @property
    def sight(self) -> Sight:
        """What names the visitor sees."""
        if self.is_operator:
            return Sight.OPERATOR
        person = None if self.session is None else self.session.person
        return Sight.MEMBER if person is not None and person.state == State.ADMITTED else Sight.STRANGER

    def named_house(self) -> int:
        """Index of the house, or the community, whose number the body or the query names."""
        first, n = number_house(0), self.desk.live.case.profiles.n_participants
        return self.whole("house", first, number_house(n - 1)) - first

    def text(self, name: str, longest: int = 200) -> str:
        """A text of the body; empty if it is missing."""
        value = self.fields.get(name, "")
        if not isinstance(value, str) or len(value) > longest:
            raise RefusedError(400, f"{name}: give a text of at most {longest} characters.")
        return value.strip()

    def whole(self, name: str, low: int = 0, high: int = 2**31 - 1) -> int:
        """A whole number of the body or the query, within bounds."""
        value = self.fields.get(name, self.request.query_params.get(name, ""))
        text = str(value).strip()
        if not (text.isascii() and text.isdigit() and len(text) < 12 and low <= int(text) <= high):
            raise RefusedError(400, f"{name}: give a whole number from {low} to {high}.")
        return int(text)

    def decimal(self, name: str, low: float, high: float) -> float:
        """A number of the body, within bounds."""
        try:
            value = float(self.text(name, 30))
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise RefusedError(400, f"{name}: give a number from {low:g} to {high:g}.")
        return value

    def blob(self, name: str, lengths: range) -> bytes:
        """Bytes of the body, in hexadecimal."""
        text = self.fields.get(name, "")
        if isinstance(text, str) and len(text) % 2 == 0 and len(text) // 2 in lengths:
            try:
                return bytes.fromhex(text)
            except ValueError:
                pass
        raise RefusedError(400, f"{name}: expected {lengths.start} to {lengths.stop - 1} bytes in hexadecimal.")


Handler = Callable[[Visit], Response]


class Entry(NamedTuple):
    """A route: its method and path, what answers it, and who may take it."""

    method: str
    path: str
    handler: Handler
    who: Who


class Lane(StrEnum):
    """Threads that a route waits for: pages; what is handed in; what waits for the ledger, perhaps a whole interval."""

    PAGES = "pages"
    HANDED_IN = "handed in"
    LEDGER = "ledger"


def find_lane(entry: Entry) -> Lane:
    """Lane of a route: statements and what the operator does wait for an interval that is being closed."""
    if entry.method == "GET":
        return Lane.PAGES
    waits = entry.path == "/house/statement" or entry.who == Who.OPERATOR
    return Lane.LEDGER if waits else Lane.HANDED_IN


class Threads:
    """How many requests are answered at once: a few of each lane, so that none waits for what another waits for."""

    def __init__(self) -> None:
        self._limits = {lane: CapacityLimiter(MOST_AT_ONCE) for lane in Lane}

    async def run(self, entry: Entry, task: Callable[[], Response]) -> Response:
        """Run a task in a thread."""
        return await to_thread.run_sync(task, limiter=self._limits[find_lane(entry)])


def make_endpoint(desk: Desk, entry: Entry, threads: Threads) -> Callable[[Request], Awaitable[Response]]:
    """What the application calls for a route: the body is read within its limit, the rest runs in a thread."""

    async def endpoint(request: Request) -> Response:
        try:
            fields = await read_fields(request) if entry.method == "POST" else {}
        except RefusedError as refused:
            return answer_refusal(desk, request, refused)
        return await threads.run(entry, partial(answer, desk, entry, request, fields))

    return endpoint


def answer(desk: Desk, entry: Entry, request: Request, fields: Mapping[str, Any]) -> Response:
    """Answer a request, or say why not."""
    try:
        visit = open_visit(desk, request, fields)
        check_allowed(visit, entry)
        if entry.method == "POST":
            check_token(visit)
            check_rate(visit)
        response = entry.handler(visit)
    except (RefusedError, ScenarioError, GridError, MarketError) as reason:
        return answer_refusal(desk, request, find_status(reason))
    if entry.method == "GET" and visit.session is None:
        set_cookie(desk, request, response, GUEST, visit.guest)
    return response


async def read_fields(request: Request) -> dict[str, Any]:
    """Fields of a form or of a JSON object, at most `LONGEST_BODY` bytes."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise RefusedError(413, f"The request is too long: expected at most {LONGEST_BODY} bytes.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == JSON:
            fields = json.loads(body or b"{}")
        elif kind == FORM or not body:
            fields = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS))
        else:
            raise RefusedError(415, f"Expected {FORM} or {JSON}.")
    except (ValueError, RecursionError):
        raise RefusedError(400, "The request cannot be read.") from None
    if not isinstance(fields, dict):
        raise RefusedError(400, "The request cannot be read: expected an object.")
    return fields


SESSION, GUEST = "gridsettle-session", "gridsettle-visit"


def name_cookie(desk: Desk, request: Request, name: str) -> str:
    """Full name of a cookie: ports of one host share their cookies, two markets on one machine must not."""
    port = request.url.port
    return f"{'__Host-' if desk.secure else ''}{name}{'' if port is None else f'-{port}'}"


def set_cookie(desk: Desk, request: Request, response: Response, name: str, value: str) -> None:
    """Set a cookie that no script can read, and that no other site makes a browser send."""
    response.set_cookie(
        name_cookie(desk, request, name), value, httponly=True, samesite="strict", secure=desk.secure, path="/"
    )


def open_visit(desk: Desk, request: Request, fields: Mapping[str, Any]) -> Visit:
    """Find out who makes a request."""
    token = request.cookies.get(name_cookie(desk, request, SESSION), "")
    session = desk.people.sessions.find_session(token) if 0 < len(token) < 200 else None
    guest = request.cookies.get(name_cookie(desk, request, GUEST), "")
    if not 0 < len(guest) < 200:
        guest = secrets.token_urlsafe(24)
    csrf = session.csrf if session is not None else hmac.new(desk.secret, guest.encode(), sha256).hexdigest()
    return Visit(desk, request, desk.sites[request.headers["host"].lower()], session, csrf, guest, fields)


def check_allowed(visit: Visit, entry: Entry) -> None:
    """Refuse a visitor who may not take a route: to sign in first, or not at all."""
    if entry.who == Who.ANYBODY:
        return
    if visit.session is None:
        raise RefusedError(401, "Sign in first.", to_sign_in=entry.method == "GET")
    if entry.who == Who.OPERATOR and not visit.is_operator:
        raise RefusedError(403, "This is for the operator.")
    if entry.who == Who.PERSON and visit.person.state == State.REVOKED:
        why = f": {visit.person.reason}" if visit.person.reason else ""
        raise RefusedError(403, f"The operator has ended your membership{why}.")
    if entry.who == Who.MEMBER or (entry.who == Who.READER and not visit.is_operator):
        find_house(visit.person)


def find_house(person: Person) -> int:
    """House of a member; refuses who is none."""
    if person.state != State.ADMITTED or person.house is None:
        raise RefusedError(403, "This is for members; the operator has not admitted you, or no longer does.")
    return person.house


def check_token(visit: Visit) -> None:
    """Refuse what does not bear the token of this visitor's own pages, or comes from another origin.

    Under our own referrer policy a browser says `null` for the origin of a form.
    """
    headers = visit.request.headers
    given = headers.get("x-csrf-token") or visit.fields.get("csrf", "")
    is_known = isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "replace"), visit.csrf.encode())
    is_ours = headers.get("origin", "null") in ("null", visit.site.origin)
    if not (is_known and is_ours and headers.get("sec-fetch-site", "same-origin") == "same-origin"):
        raise RefusedError(403, "This form is not of this visit; load the page again.")


def check_rate(visit: Visit) -> None:
    """Refuse what comes too often: sign-ins from one address, anything from one person."""
    if visit.session is None:
        client = visit.request.client
        wait = visit.desk.sign_ins.take(client.host if client else "", time.monotonic())
    else:
        person = visit.session.person
        who = "operator" if person is None else str(person.number)
        wait = visit.desk.sayings.take(who, time.monotonic())
    if wait > 0:
        raise RefusedError(429, f"Too often: wait {wait:.0f} s and try again.", wait_s=wait)


def redirect(path: str) -> Response:
    """Send a browser on to another page of ours."""
    return RedirectResponse(path, status_code=303)
