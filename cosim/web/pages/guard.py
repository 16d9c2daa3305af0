"""What surrounds every answer: hosts that are ours, strict headers. Plain ASGI, so that streams stay streams.

A name that somebody else points at this server (DNS rebinding) is refused: the host decides which domain a wallet signs
for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Nothing inline, nothing from elsewhere; icons of wallets are images in the page (`data:`)."""

HEADERS: Mapping[bytes, bytes] = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=(), payment=()",
}
TLS_ONLY: Mapping[bytes, bytes] = {b"strict-transport-security": b"max-age=31536000"}


class Guard:
    """The application behind it, for known hosts, with strict headers.

    Parameters
    ----------
    app
        The application.
    hosts
        Values of the header `Host` that are ours.
    secure
        Whether people reach it by TLS.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], *, secure: bool) -> None:
        self._app, self._hosts = app, frozenset(hosts)
        self._headers = {**HEADERS, **(TLS_ONLY if secure else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = {name for name, _ in message["headers"]}
                strict = {b"cache-control": b"no-store", **self._headers}
                message["headers"] += [item for item in strict.items() if item[0] not in known]
            await send(message)

        if find_header(scope, b"host") not in self._hosts:
            await _refuse(send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def find_header(scope: Scope, name: bytes) -> str:
    """A header of a request in lower case, empty if it is missing or there twice."""
    found = [value for key, value in scope["headers"] if key == name]
    return found[0].decode("latin-1").lower() if len(found) == 1 else ""


async def _refuse(send: Send) -> None:
    body = b"This server does not answer for that host name.\n"
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 421, "headers": headers})
    await send({"type": "http.response.body", "body": body})
