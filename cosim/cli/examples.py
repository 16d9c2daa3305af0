"""An example or two at the end of every command's help, in one place; tests read every one of them as a command."""

from __future__ import annotations

from collections.abc import Mapping

import typer

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "hosting": (
        "gridsettle hosting rural",
        "gridsettle hosting stressed --intervals 48 --out hosting.csv",
        "gridsettle hosting --draws 1000 --technology pv --figure hosting.html --out draws.parquet",
    ),
    "envelope": (
        "gridsettle envelope --net feeder.json --customers active.csv --profiles others.csv --out envelopes.csv",
        "gridsettle envelope --net feeder.json --rule max_min --head-vm-pu 0.98,1.03",
    ),
    "prices": (
        "gridsettle prices --first 977 --intervals 3 --out prices.csv --figure prices.html",
        "gridsettle prices stressed --first 756 --intervals 5 --limits limits.csv",
    ),
    "net solve": (
        "gridsettle net solve feeder.json --model three_phase --out solved --judge runpp_3ph",
        "gridsettle net solve street --model four_wire --out solved",
    ),
    "net check": (
        "gridsettle net check feeder.json",
        "gridsettle net check feeder.json --scenario mine.toml --json",
    ),
    "net show": ("gridsettle net show feeder.json --out map.svg",),
    "net export": ("gridsettle net export feeder.json --opendss feeder.dss",),
    "scenario list": ("gridsettle scenario list",),
    "scenario show": ("gridsettle scenario show outage",),
    "scenario check": ("gridsettle scenario check mine.toml",),
    "scenario new": (
        "gridsettle scenario new mine.toml",
        "gridsettle scenario new winter.toml --like outage",
    ),
    "profiles forecast": ("gridsettle profiles forecast meters.csv --rule persistence --out forecast.csv",),
    "imbalance settle": (
        "gridsettle imbalance settle run meters.csv --price 0.12 --out settled",
        "gridsettle imbalance settle run meters.csv --short-price 0.25 --long-price 0.05 --out settled",
    ),
    "imbalance check": ("gridsettle imbalance check settled run meters.csv --price 0.12",),
    "study reference": (
        "gridsettle study reference",
        "gridsettle study reference --spain energy_dataset.csv",
    ),
    "study beta-tau": (
        "gridsettle study beta-tau --seeds 5",
        "gridsettle study beta-tau --hours 720 --workers 2",
    ),
    "study production": ("gridsettle study production --seeds 5",),
    "study storage": ("gridsettle study storage --seeds 5",),
    "study outage": ("gridsettle study outage --seeds 20",),
    "study survival": (
        "gridsettle study survival",
        "gridsettle study survival outage --starts 400 --longest 72",
    ),
    "study charges": ("gridsettle study charges wires.toml", "gridsettle study charges wires.toml --seeds 5"),
    "study microgrids": ("gridsettle study microgrids north.toml south.toml --capacity-kw 50",),
    "ledger init": ("gridsettle ledger init keys --members 25",),
    "ledger members": ("gridsettle ledger members runs/default-001",),
    "ledger register": ("gridsettle ledger register runs/default-001 3 --key keys/member_3.pem",),
    "ledger rotate": ("gridsettle ledger rotate runs/default-001 3 --key keys/member_3.pem --new-key keys/next_3.pem",),
    "ledger revoke": ("gridsettle ledger revoke runs/default-001 3",),
    "ledger grant": (
        "gridsettle ledger grant runs/default-001 3 40 --key keys/member_3.pem",
        "gridsettle ledger grant runs/default-001 3 40 --key keys/member_3.pem --withdraw",
    ),
    "ledger device": (
        "gridsettle ledger device runs/default-001 3 1 --key keys/member_3.pem --kind battery --bus 7 --power-w 5000 "
        "--energy-wh 10000",
    ),
    "ledger admit": ("gridsettle ledger admit runs/default-001",),
    "ledger account": (
        "gridsettle ledger account runs/default-001 3",
        "gridsettle ledger account runs/default-001 3 --json",
    ),
    "ledger show": (
        "gridsettle ledger show runs/default-001",
        "gridsettle ledger show runs/default-001 4000 --json",
    ),
    "ledger export": ("gridsettle ledger export runs/default-001 ledger.jsonl",),
    "ledger prove": ("gridsettle ledger prove runs/default-001 4000 3 --out receipt.json",),
    "ledger verify-receipt": ("gridsettle ledger verify-receipt receipt.json --key operator.pem",),
    "ledger cosign": (
        "gridsettle ledger cosign runs/default-001.checkpoint --key witness.pem --name witness.example "
        "--log operator.vkey --ledger runs/default-001",
    ),
    "ledger audit": (
        "gridsettle ledger audit runs/default-001 --sample 100",
        "gridsettle ledger audit runs/default-001 --all",
        "gridsettle ledger audit runs/default-001 --rerun",
    ),
    "community settle": (
        "gridsettle community settle runs/default-001 --terms terms.toml --out settled",
        "gridsettle community settle runs/default-001 --terms terms.toml --out settled --json",
    ),
    "community check": ("gridsettle community check settled runs/default-001 --terms terms.toml",),
    "community share": (
        "gridsettle community share --rule nucleolus --worth table.csv",
        "gridsettle community share runs/default-001 --terms terms.toml --orders 1000",
    ),
    "members requests": (
        "gridsettle members requests runs/default-001",
        "gridsettle members requests runs/default-001 --all --json",
    ),
    "members admit": ("gridsettle members admit runs/default-001 3 7",),
    "members refuse": ("gridsettle members refuse runs/default-001 3 --reason 'not a house of this street'",),
    "members revoke": ("gridsettle members revoke runs/default-001 3",),
    "members operator-code": (
        "gridsettle members operator-code runs/default-001",
        "gridsettle members operator-code runs/default-001 --sign-out",
    ),
}
"""Of commands whose own text has none."""


def add_examples(app: typer.Typer, path: str = "") -> None:
    """Append its examples to the help of every command of an application and of its groups."""
    for command in app.registered_commands:
        name = command.name or getattr(command.callback, "__name__", "").replace("_", "-")
        lines = EXAMPLES.get(f"{path}{name}")
        if lines:
            command.epilog = "\n\n".join(("Examples", *lines))
    for group in app.registered_groups:
        if group.typer_instance is not None:
            add_examples(group.typer_instance, f"{path}{group.name} ")
