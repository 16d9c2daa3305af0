"""gridsettle as a federate of HELICS; it, the other federate and the broker are processes with a limit of time."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cosim import Scenario, run
from cosim.case.case import build_case
from cosim.coupling import commands, names
from cosim.scenario.files import format_toml, load_scenario

HOURS, LIMIT_S = 4, 120
OURS = "from cosim.coupling.commands import run_helics; run_helics()"
OTHER = """
import json, sys
import helics as h

port, hours, told = int(sys.argv[1]), int(sys.argv[2]), json.load(sys.stdin)
info = h.helicsCreateFederateInfo()
h.helicsFederateInfoSetCoreTypeFromString(info, "zmq")
h.helicsFederateInfoSetCoreInitString(info, f"--federates=1 --brokerport={port}")
h.helicsFederateInfoSetFlagOption(info, h.HELICS_FLAG_UNINTERRUPTIBLE, True)
other, heard = h.helicsCreateValueFederate("other", info), []
ports = {}
for key in told:
    ports[key] = h.helicsFederateRegisterPublication(other, key, h.HELICS_DATA_TYPE_DOUBLE, "")
    h.helicsPublicationAddTarget(ports[key], f"gridsettle/{key}")
block = h.helicsFederateRegisterSubscription(other, "gridsettle/Community/block_hash", "")
voltage = h.helicsFederateRegisterSubscription(other, "gridsettle/Bus-1/Vm[pu]", "")
try:
    h.helicsFederateEnterExecutingMode(other)
    for t in range(hours):
        for key, values in told.items():
            h.helicsPublicationPublishDouble(ports[key], values[t])
        if h.helicsFederateRequestTime(other, 3600.0 * (t + 1)) != 3600.0 * (t + 1):
            break
        heard.append((h.helicsInputGetString(block), h.helicsInputGetDouble(voltage)))
except h.HelicsException:
    pass  # the federation was told that it ends
print(json.dumps(heard), flush=True)
h.helicsFederateDisconnect(other)
"""
BROKER = """
import sys
import helics as h

broker = h.helicsCreateBroker("zmq", "broker", f"--federates=2 --localport={sys.argv[1]}")
h.helicsBrokerWaitForDisconnect(broker, 1000 * int(sys.argv[2]))
"""


def make_scenario() -> Scenario:
    changes: dict[str, Any] = {"horizon": {"hours": HOURS}, "houses": {"n_houses": 4, "n_prosumers": 2}}
    absent: dict[str, Any] = {"ev": {"n_cars": 0}, "heat_pump": {"n_heat_pumps": 0}, "community": {"enabled": False}}
    return load_scenario("default").with_changes(**changes, **absent)


def own_profiles() -> dict[str, list[float]]:
    profiles = build_case(make_scenario()).profiles
    return {
        f"House-{k}/{name}": [names.to_mw(int(one), 60) for one in wh[:HOURS, k]]
        for k in range(profiles.n_participants)
        for name, wh in ((names.P_LOAD, profiles.load_wh), (names.P_GEN, profiles.pv_wh))
    }


def couple(folder: Path, told: dict[str, list[float]]) -> tuple[int, str, list[tuple[str, float]]]:
    """Exit code and stderr of our federate, and what the other one heard: hashes and voltages."""
    (folder / "scenario.toml").write_text(format_toml(make_scenario()), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": folder}
    ours_words = ["-c", OURS, "scenario.toml", "--out", "run", f"--init=--brokerport={port}"]
    started = [
        subprocess.Popen([sys.executable, *words], stdin=subprocess.PIPE, **pipes)
        for words in (["-c", BROKER, port, str(LIMIT_S)], ours_words, ["-c", OTHER, port, str(HOURS)])
    ]
    broker, ours, other = started
    try:
        heard, complaint = other.communicate(json.dumps(told), timeout=LIMIT_S)
        assert (other.returncode, complaint) == (0, "")
        _, error = ours.communicate(timeout=LIMIT_S)
        broker.communicate(timeout=LIMIT_S)
    finally:
        for process in started:
            process.kill()
            process.communicate()
    return ours.returncode, error, json.loads(heard.splitlines()[-1])


@pytest.mark.slow
def test_with_a_second_federate_it_ends_on_the_head_of_a_run(tmp_path: Path) -> None:
    expected = run(make_scenario(), tmp_path / "alone").summary
    code, error, heard = couple(tmp_path, own_profiles())
    assert (code, error) == (0, "")
    hashes = [block for block, _ in heard]
    assert (len(set(hashes)), hashes[-1]) == (HOURS, expected["ledger"]["hash"])
    assert all(0.9 < vm_pu < 1.1 for _, vm_pu in heard)
    assert (tmp_path / "run/given_inputs.csv").read_text(encoding="ascii").count("\n") == 1  # no other inputs
    assert json.loads((tmp_path / "run/summary.json").read_text(encoding="utf-8"))["ledger"] == expected["ledger"]


@pytest.mark.parametrize(
    ("command", "module", "extra"), [("helics", "helics", "helics"), ("mosaik", "mosaik_api_v3", "mosaik")]
)
def test_without_its_package_a_command_says_how_to_install_it(
    command: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", [f"gridsettle-{command}", "default", "--out", "nowhere"])
    with pytest.raises(SystemExit) as ended:
        getattr(commands, f"run_{command}")()
    assert ended.value.code == 2
    said = f"gridsettle: expected the extra '{extra}', got no module {module}; pip install 'gridsettle[{extra}]'\n"
    assert capsys.readouterr().err == said
