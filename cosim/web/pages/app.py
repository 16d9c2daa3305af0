"""The application: its routes, who may take each, and what surrounds them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.staticfiles import StaticFiles

from cosim.web.pages import account, demonstration, house, operating, signing_in, welcome
from cosim.web.pages.announcer import parse_last_height
from cosim.web.pages.desk import Desk
from cosim.web.pages.guard import Guard
from cosim.web.pages.log import PATHS, make_log_endpoint
from cosim.web.pages.refusals import RefusedError, answer_refusal
from cosim.web.pages.visits import Entry, Threads, Who, make_endpoint

ENTRIES = (
    Entry("GET", "/", welcome.show_welcome, Who.ANYBODY),
    Entry("GET", "/signin", signing_in.show_sign_in, Who.ANYBODY),
    Entry("POST", "/signin/message", signing_in.begin_wallet, Who.ANYBODY),
    Entry("POST", "/signin/wallet", signing_in.finish_wallet, Who.ANYBODY),
    Entry("POST", "/signin/passkey/new", signing_in.begin_new_passkey, Who.ANYBODY),
    Entry("POST", "/signin/passkey/register", signing_in.finish_new_passkey, Who.ANYBODY),
    Entry("POST", "/signin/passkey/known", signing_in.begin_known_passkey, Who.ANYBODY),
    Entry("POST", "/signin/passkey", signing_in.finish_known_passkey, Who.ANYBODY),
    Entry("POST", "/signin/operator", signing_in.sign_in_operator, Who.ANYBODY),
    Entry("POST", "/signout", signing_in.sign_out, Who.ANYBODY),
    Entry("GET", "/main", house.show_main, Who.PERSON),
    Entry("POST", "/join", house.ask_to_join, Who.PERSON),
    Entry("GET", "/house/next", house.tell_next, Who.MEMBER),
    Entry("POST", "/house/submission", house.take_submission, Who.MEMBER),
    Entry("POST", "/house/statement", house.take_statement, Who.MEMBER),
    Entry("POST", "/house/mode", house.set_mode, Who.MEMBER),
    Entry("GET", "/account", account.show_account, Who.READER),
    Entry("GET", "/account.csv", account.download_csv, Who.READER),
    Entry("GET", "/account/receipt", account.download_receipt, Who.READER),
    Entry("POST", "/account/ask", account.ask_access, Who.MEMBER),
    Entry("POST", "/account/refuse", account.refuse_access, Who.MEMBER),
    Entry("GET", "/operator", operating.show_operator, Who.OPERATOR),
    Entry("GET", "/operator/checkpoint", operating.download_checkpoint, Who.OPERATOR),
    Entry("POST", "/operator/admit", operating.admit, Who.OPERATOR),
    Entry("POST", "/operator/refuse", operating.refuse, Who.OPERATOR),
    Entry("POST", "/operator/revoke", operating.revoke, Who.OPERATOR),
    Entry("POST", "/operator/clock", operating.set_clock, Who.OPERATOR),
    Entry("POST", "/operator/switch", operating.switch, Who.OPERATOR),
    Entry("POST", "/operator/audit", operating.begin_audit, Who.OPERATOR),
)
DEMO = (
    Entry("POST", "/demo/account", demonstration.tell_demo_account, Who.ANYBODY),
    Entry("POST", "/demo/sign", demonstration.sign_for_demo, Who.ANYBODY),
)
"""Routes that are there with `--demo` alone."""

STATIC = str(files("cosim.web.pages") / "static")


def make_app(desk: Desk) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    desk
        What its pages work with.
    """
    guard = Middleware(Guard, hosts=tuple(desk.sites), secure=desk.secure)
    app = FastAPI(title="gridsettle", docs_url=None, redoc_url=None, openapi_url=None, middleware=[guard])
    threads = Threads()
    for entry in (*ENTRIES, *(DEMO if desk.demo else ())):
        app.add_route(entry.path, make_endpoint(desk, entry, threads), methods=[entry.method])
    app.add_route("/events", make_event_endpoint(desk), methods=["GET"])
    for path in PATHS:
        app.add_route(path, make_log_endpoint(desk), methods=["GET"])
    app.add_route("/favicon.ico", _show_favicon, methods=["GET"])
    app.mount("/static", StaticFiles(directory=STATIC))

    async def refuse_unknown(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 500)
        words = {404: "There is no such page.", 405: "That cannot be done here."}
        return answer_refusal(desk, request, RefusedError(status, words.get(status, "Something went wrong here.")))

    for status in (404, 405, 500):
        app.add_exception_handler(status, refuse_unknown)
    return app


def make_event_endpoint(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    """Server-sent events: a stream of the ledger's blocks, behind `Last-Event-ID`, or at first behind `?after=`."""

    async def endpoint(request: Request) -> Response:
        client = request.client.host if request.client else ""
        if desk.announcer.is_full(client):
            return answer_refusal(
                desk, request, RefusedError(503, "Too many pages listen; try again later.", wait_s=30)
            )
        seen = request.headers.get("last-event-id") or request.query_params.get("after", "")
        last = parse_last_height(seen)
        return StreamingResponse(desk.announcer.stream(last, client), media_type="text/event-stream")

    return endpoint


async def _show_favicon(request: Request) -> Response:
    return RedirectResponse("/static/favicon.svg", status_code=308)
