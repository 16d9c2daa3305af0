"""The command `gridsettle serve`: a market in which people take part."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosim.cli import progress
from cosim.cli import run as runs
from cosim.cli.errors import bad_input_ends, fail
from cosim.interrupts.stop import Stopped
from cosim.scenario import files
from cosim.simulation import compile_ahead
from cosim.web.live import run as lives
from cosim.web.pages import app as apps
from cosim.web.pages import desk as desks
from cosim.web.pages import server
from cosim.web.people import site as sites
from cosim.web.people import store as stores

if TYPE_CHECKING:
    from cosim.web.pages.desk import Desk
    from cosim.web.people.site import Site

NEEDED = ("fastapi", "uvicorn", "eth_account", "webauthn")
"""Modules of the extra `web`."""
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def serve(
    scenario: Annotated[
        str | None,
        typer.Argument(
            help="TOML file or bundled scenario; see 'gridsettle scenario list'. Default: that of the run in --out, "
            "else 'default'.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run directory: new, or that of a served run to go on with. Default: a new one.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine reach no 127.0.0.1.")] = (
        "127.0.0.1"
    ),
    origin: Annotated[
        str | None,
        typer.Option(help="How people reach it, such as https://market.example, where a proxy stands before it."),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(min=0.5, max=86400, help="Seconds after which an interval closes. Default: the operator steps."),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Where a witness of the first block is asked to cosign; once for each."),
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Offer a demo wallet, which anybody can use.")] = False,
) -> None:
    """Serve a market: people sign in, offer and ask for energy before the gate of each interval closes.

    Stop it with Ctrl-C; the same command with the same --out goes on.

    Examples
    --------
      gridsettle serve --demo --speed 5

      gridsettle serve mine.toml --out runs/street --port 8080
    """
    check_extra()
    with bad_input_ends():
        chosen = files.load_scenario(find_scenario(scenario, out))
        directory = out or runs.next_directory(chosen.name)
        with bind(host, port) as listener:
            known = list_sites(host, port, origin)
            secure = origin is not None and origin.startswith("https://")
            with (
                progress.tell_compiling(),
                compile_ahead.compile_meanwhile(chosen.network.model),
                lives.LiveRun.open(chosen, directory) as live,
                stores.People(directory) as people,
                desks.open_desk(
                    live, people, known, seconds=speed, demo=demo, secure=secure, witnesses=witness or ()
                ) as desk,
            ):
                tell(desk, directory, next(iter(known.values())))
                server.run_until_stopped(
                    apps.make_app(desk), listener, stopping=desk.announcer.end, proxied=origin is not None
                )
                is_over = live.is_over
    if is_over:
        raise Stopped(
            f"stopped; the run is over: gridsettle run {directory / 'scenario.toml'} --out {directory} --resume"
        )
    raise Stopped(f"stopped; go on with: gridsettle serve --out {directory}")


def find_scenario(scenario: str | None, out: Path | None) -> str:
    """The scenario to serve: as named, that of the run that is gone on with, or the bundled one."""
    if scenario is not None:
        return scenario
    kept = None if out is None else out / "scenario.toml"
    return "default" if kept is None or not kept.is_file() else str(kept)


def check_extra() -> None:
    """End with a message where the extra `web` is not installed."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        fail(f"serve: expected the extra 'web', got no module {missing[0]}; pip install 'gridsettle[web]'")


def list_sites(host: str, port: int, origin: str | None) -> dict[str, Site]:
    """Origins under which people reach the server, by the header `Host`; the one to tell first."""
    if origin is not None:
        found = [sites.make_site(origin)]
    else:
        own = f"[{host}]" if ":" in host else host
        names = LOOPBACK if own in LOOPBACK else (own, *LOOPBACK)
        suffix = "" if port == 80 else f":{port}"
        found = [sites.make_site(f"http://{name}{suffix}") for name in names]
    return {site.domain: site for site in found}


@contextmanager
def bind(host: str, port: int) -> Iterator[Any]:
    """A socket that listens, before anything is written; ends with a message where there is none to be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(512)
        except OSError as reason:
            fail(
                f"--port, --host: expected an address that is free, got {host} port {port} ({reason.strerror}); "
                "stop what uses it, or choose another with --port"
            )
        yield listener


def tell(desk: Desk, directory: Path, site: Site) -> None:
    """Print where the market is, and the operator's code."""
    live = desk.live
    typer.echo(f"serving {site.origin}  (interval {live.next_interval} of {live.n_intervals}, run in {directory})")
    typer.echo(f"operator's code, once and within 10 minutes: {desk.people.codes.make_code()}")
    typer.echo(f"another one: gridsettle members operator-code {directory}")
    if desk.demo:
        typer.echo("demo: anybody who opens the page can use the demo wallet")
