"""Signing in and out: by wallet, by passkey, by the operator's code."""

from __future__ import annotations

import json

from starlette.responses import JSONResponse, Response

from cosim.web.pages.rendering import render
from cosim.web.pages.visits import SESSION, Visit, name_cookie, redirect, set_cookie
from cosim.web.pages.welcome import name_visitor
from cosim.web.people import sign_in
from cosim.web.people.sign_in import SignedIn

KEY = range(32, 33)


def show_sign_in(visit: Visit) -> Response:
    """The sign-in page."""
    if visit.session is not None:
        return redirect("/operator" if visit.is_operator else "/main")
    host = visit.site.host
    is_name = not (host.startswith("[") or host.replace(".", "").isdigit())
    return render("signin.html", **name_visitor(visit), passkeys=is_name, origin=visit.site.origin)


def begin_wallet(visit: Visit) -> Response:
    """The message that a wallet is to sign."""
    message = sign_in.begin_wallet_sign_in(
        visit.desk.people, visit.site, visit.text("address", 100), visit.blob("key", KEY)
    )
    return JSONResponse({"message": message})


def finish_wallet(visit: Visit) -> Response:
    """Open a session for whoever signed the message."""
    message, signature = visit.fields.get("message", ""), visit.text("signature", 1000)
    message = message if isinstance(message, str) else ""
    return _enter(visit, sign_in.sign_in_with_wallet(visit.desk.people, visit.site, message, signature))


def begin_new_passkey(visit: Visit) -> Response:
    """Options to make a passkey."""
    begun = sign_in.begin_passkey_registration(visit.desk.people, visit.site, visit.blob("key", KEY))
    return JSONResponse({"nonce": begun.nonce, "options": begun.options_json})


def finish_new_passkey(visit: Visit) -> Response:
    """Open a session for the owner of a new passkey."""
    nonce, key, credential = visit.text("nonce"), visit.blob("key", KEY), _read_credential(visit)
    return _enter(visit, sign_in.register_passkey(visit.desk.people, visit.site, nonce, key, credential))


def begin_known_passkey(visit: Visit) -> Response:
    """Options to use a passkey."""
    begun = sign_in.begin_passkey_sign_in(visit.desk.people, visit.site, visit.blob("key", KEY))
    return JSONResponse({"nonce": begun.nonce, "options": begun.options_json})


def finish_known_passkey(visit: Visit) -> Response:
    """Open a session for the owner of a known passkey."""
    nonce, key, credential = visit.text("nonce"), visit.blob("key", KEY), _read_credential(visit)
    return _enter(visit, sign_in.sign_in_with_passkey(visit.desk.people, visit.site, nonce, key, credential))


def sign_in_operator(visit: Visit) -> Response:
    """Open a session of the operator for whoever knows the code."""
    visit.desk.people.codes.use_code(visit.text("code", 60))
    return _with_session(visit, redirect("/operator"), visit.desk.people.sessions.open_session(None))


def sign_out(visit: Visit) -> Response:
    """End the session."""
    visit.desk.people.sessions.close_session(_read_token(visit))
    response = redirect("/")
    response.delete_cookie(name_cookie(visit.desk, visit.request, SESSION), path="/", secure=visit.desk.secure)
    return response


def _read_credential(visit: Visit) -> str:
    return json.dumps(visit.fields.get("credential"))


def _read_token(visit: Visit) -> str:
    return visit.request.cookies.get(name_cookie(visit.desk, visit.request, SESSION), "")


def _enter(visit: Visit, signed_in: SignedIn) -> Response:
    token = visit.desk.people.sessions.open_session(signed_in.person.number, signed_in.page_key)
    return _with_session(visit, JSONResponse({"next": "/main"}), token)


def _with_session(visit: Visit, response: Response, token: str) -> Response:
    """The answer with the cookie of a new session; the one before, if any, is ended."""
    if old := _read_token(visit):
        visit.desk.people.sessions.close_session(old)
    set_cookie(visit.desk, visit.request, response, SESSION, token)
    return response
