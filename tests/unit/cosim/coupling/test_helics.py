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
from tests.unit.cosim.coupling.scripts import write_script

HOURS, LIMIT_S = 4, 120
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
for key in sys.argv[3:]:
    second = h.helicsFederateRegisterPublication(other, "second " + key, h.HELICS_DATA_TYPE_DOUBLE, "")
    h.helicsPublicationAddTarget(second, f"gridsettle/{key}")
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


def couple(folder: Path, told: dict[str, list[float]], *twice: str) -> tuple[int, str, list[tuple[str, float]]]:
    """Exit code and stderr of our federate, and what the other one heard: hashes and voltages."""
    (folder / "scenario.toml").write_text(format_toml(make_scenario()), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": folder}
    script = write_script("gridsettle-helics", folder)
    commands = (
        [str(Path(sys.executable).with_name("helics_broker")), "--federates=2", f"--localport={port}"],
        [str(script), "scenario.toml", "--out", "run", f"--init=--brokerport={port}"],
        [sys.executable, "-c", OTHER, port, str(HOURS), *twice],
    )
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, **pipes) for command in commands]
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("watts", "twice", "message"),
    [
        (float("nan"), [], "house_01, P_load[MW]: expected a finite number, got nan"),
        (500.0, ["House-0/P_load[MW]"], "House-0/P_load[MW]: expected one source, got 2; connect one"),
    ],
)
def test_bad_input_ends_the_federation_with_one_message(
    watts: float, twice: list[str], message: str, tmp_path: Path
) -> None:
    code, error, heard = couple(tmp_path, {"House-0/P_load[MW]": [0.0005, *[watts / 1e6] * (HOURS - 1)]}, *twice)
    assert code == 2
    assert error.splitlines()[-1] == f"gridsettle: {message}"
    assert "Traceback" not in error
    assert len(heard) < HOURS  # the other federate was told
    assert not (tmp_path / "run/summary.json").exists()


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
