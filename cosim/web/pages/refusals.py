"""Refusals: what a visitor is told instead of an answer, as a page or as JSON, always in words and never a trace."""

from __future__ import annotations

import math

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from cosim.web.pages.desk import Desk
from cosim.web.pages.rendering import render
from cosim.web.people.errors import FullError, SignInError, StateError, UnknownError


class RefusedError(Exception):
    """A request that is refused.

    Parameters
    ----------
    status, message
        Status of the answer, and what it says.
    to_sign_in
        Whether a page sends its visitor to the sign-in page instead.
    wait_s
        After how long it may be tried again.
    """

    def __init__(self, status: int, message: str, *, to_sign_in: bool = False, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.status, self.to_sign_in, self.wait_s = status, to_sign_in, wait_s


STATUS = {SignInError: 401, UnknownError: 404, StateError: 409, FullError: 429}
"""Statuses of what the people's store refuses; anything else that a visitor got wrong is 400."""


def find_status(reason: Exception) -> RefusedError:
    """The refusal for an error."""
    if isinstance(reason, RefusedError):
        return reason
    status = next((status for kind, status in STATUS.items() if isinstance(reason, kind)), 400)
    return RefusedError(status, str(reason))


def answer_refusal(desk: Desk, request: Request, refused: RefusedError) -> Response:
    """Say why not: JSON to a script, the sign-in page or a page of its own to a person."""
    headers = {"Retry-After": str(math.ceil(refused.wait_s))} if refused.wait_s else {}
    is_json = "application/json" in (request.headers.get("content-type", "") + request.headers.get("accept", ""))
    if is_json:
        return JSONResponse({"error": str(refused)}, refused.status, headers)
    if refused.to_sign_in:
        return RedirectResponse("/signin", status_code=303)
    page = render("problem.html", title="Not done", message=str(refused), status=refused.status, demo=desk.demo)
    page.status_code = refused.status
    page.headers.update(headers)
    return page
