"""The command `gridsettle`: what it is made of, and the options before a command."""

from __future__ import annotations

from typing import Annotated

import typer

from cosim.cli.entry import main
from cosim.cli.examples import add_examples
from cosim.cli.log import log_to_stderr
from cosim.cli.on_demand import import_on_demand
from cosim.simulation.version import find_version

with import_on_demand():
    from cosim.cli.bill import bill
    from cosim.cli.chain import chain_app
    from cosim.cli.community import community_app
    from cosim.cli.envelope import envelope
    from cosim.cli.hosting import hosting
    from cosim.cli.imbalances import imbalance_app
    from cosim.cli.ledger import ledger_app
    from cosim.cli.members import members_app
    from cosim.cli.net import net_app
    from cosim.cli.net_check import net_check_app
    from cosim.cli.nodes import nodes_app
    from cosim.cli.people import people_app
    from cosim.cli.portfolio import portfolio_app
    from cosim.cli.portfolio_report import portfolio_report_app
    from cosim.cli.prices import prices
    from cosim.cli.profiles import profiles_app
    from cosim.cli.publish import publish_app
    from cosim.cli.readers import readers_app
    from cosim.cli.report import compare, report
    from cosim.cli.run import run
    from cosim.cli.scenario import scenario_app
    from cosim.cli.serve import serve
    from cosim.cli.study import study_app
    from cosim.cli.validate import validate

app = typer.Typer(name="gridsettle", no_args_is_help=True, pretty_exceptions_enable=False)
for command in (run, serve, report, compare, bill, validate, hosting, envelope, prices):
    app.command()(command)
app.add_typer(scenario_app, name="scenario")
app.add_typer(study_app, name="study")
app.add_typer(portfolio_app, name="portfolio")
app.add_typer(net_app, name="net")
app.add_typer(profiles_app, name="profiles")
app.add_typer(ledger_app, name="ledger")
app.add_typer(community_app, name="community")
app.add_typer(imbalance_app, name="imbalance")
app.add_typer(people_app, name="members")
ledger_app.registered_commands[:0] = [*members_app.registered_commands, *readers_app.registered_commands]
ledger_app.registered_commands += [*publish_app.registered_commands, *nodes_app.registered_commands]
ledger_app.registered_commands += chain_app.registered_commands
net_app.registered_commands += net_check_app.registered_commands
portfolio_app.registered_commands += portfolio_report_app.registered_commands
add_examples(app)


def show_version(wanted: bool) -> None:
    """Print the version and end, if it is asked for."""
    if wanted:
        typer.echo(f"gridsettle {find_version('gridsettle')}")
        raise typer.Exit


@app.callback()
def begin(
    context: typer.Context,
    verbose: Annotated[
        int,
        typer.Option(
            "-v",
            "--verbose",
            count=True,
            help="Log the steps on stderr; -vv: also every window of intervals.",
        ),
    ] = 0,
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Local energy trades that settle only if the wires can carry them."""
    if verbose:
        context.with_resource(log_to_stderr(verbose))


if __name__ == "__main__":
    main(app)
