"""The web server: what it does around the application."""

from __future__ import annotations

import gc
import signal
import socket
import sys
from typing import Any

import pytest
from fastapi import FastAPI

from cosim.web.pages.server import PatientServer, run_until_stopped


def test_what_is_loaded_is_not_searched_for_garbage_while_pages_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen, handler, switching = [], signal.getsignal(signal.SIGTERM), sys.getswitchinterval()

    def serve(self: PatientServer, **_: Any) -> None:
        frozen.append(gc.get_freeze_count())

    monkeypatch.setattr(PatientServer, "run", serve)
    with socket.socket() as listener:
        run_until_stopped(FastAPI(), listener)
    sys.setswitchinterval(switching)
    assert frozen[0] > 100_000
    assert gc.get_freeze_count() == 0
    assert signal.getsignal(signal.SIGTERM) == handler
