"""Code and commands in README and documentation do what they say: every block is run by some test."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import shutil
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandapower as pp
import pandapower.networks as pn
import pytest
import typer
from doc_blocks import PAGES, ROOT, blocks, code_blocks, commands, written_in
from typer.testing import CliRunner

from cosim import Scenario
from cosim.cli.app import app
from cosim.scenario.files import format_toml

SCRIPTS = ("first_hour", "own_network", "overloaded_cable", "winter_outage")
ELSEWHERE = {
    "CONTRIBUTING.md": (".ci/run", 1),  # installs and checks of its own
    "docs/how-to/own-mechanism.md": ("tests/unit/market/test_own_mechanism.py", 2),
    "docs/how-to/anchor-a-ledger.md": ("tests/docs/test_anchor_docs.py", 4),
    "docs/how-to/envelopes.md": ("tests/docs/test_envelopes_docs.py", 2),
    "docs/how-to/market-inside-envelopes.md": ("tests/docs/test_within_docs.py", 1),
    "docs/how-to/meters.md": ("tests/docs/test_meters_docs.py", 1),
    "docs/how-to/medium-voltage.md": ("tests/docs/test_medium_voltage_docs.py", 2),
    "docs/how-to/mosaik.md": ("tests/docs/test_mosaik_docs.py", 2),
    "docs/how-to/check-a-network.md": ("tests/docs/test_check_docs.py", 2),
    "docs/how-to/network-charges.md": ("tests/docs/test_charges_docs.py", 2),
    "docs/how-to/community-by-law.md": ("tests/docs/test_community_docs.py", 2),
    "docs/how-to/forecasts.md": ("tests/docs/test_forecasts_docs.py", 1),
    "docs/how-to/opendss.md": ("tests/docs/test_opendss_docs.py", 5),
    "docs/how-to/own-copy.md": ("tests/docs/test_own_copy_docs.py", 6),
    "docs/how-to/serve.md": ("tests/unit/cosim/cli/test_serve.py", 5),  # and in a browser
    "docs/how-to/validate-trades.md": ("tests/docs/test_validate_docs.py", 6),
    "docs/how-to/audit-a-ledger.md": ("tests/docs/test_audit_docs.py", 5),
    "docs/how-to/private-ledger.md": ("tests/docs/test_docs.py", None),
    "docs/how-to/reactive-power.md": ("tests/docs/test_docs.py", 1),
    "docs/how-to/voltage-control.md": ("tests/docs/test_docs.py", 1),
    "docs/how-to/cars-and-heat-pumps.md": ("tests/docs/test_cars_docs.py", 1),
    "docs/how-to/portfolio-report.md": ("tests/docs/test_portfolio_report_docs.py", 3),
    "docs/how-to/portfolio.md": ("tests/docs/test_portfolio_docs.py", 4),
    "docs/how-to/import-networks.md": ("tests/docs/test_import_docs.py", 3),
    "docs/how-to/own-houses.md": ("tests/docs/test_own_houses_docs.py", 2),
    "docs/how-to/phases.md": ("tests/docs/test_phases_docs.py", 2),
    **{f"docs/examples/{name}.md": ("docs/examples/as_page.py", None) for name in SCRIPTS},
}
"""Pages that a test of their own runs, and how many blocks that test knows."""
DOCTESTS = tuple(page for page in PAGES if page.startswith("docs/mechanisms/"))
HERE = [page for page in PAGES if page not in ELSEWHERE and page not in DOCTESTS]
PROGRAM = typer.main.get_command(app)


LONG = (
    "README.md",
    "docs/api.md",
    *(f"docs/how-to/{name}.md" for name in ("en50160", "hosting-capacity", "local-prices")),
)
WITH_PYTHON = [page for page in HERE if any(b.is_python for b in blocks(page))]


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.slow] if page in LONG else []) for page in WITH_PYTHON]
)
def test_python_of_the_page_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.is_python:
            exec(compile(block.text, page, "exec"), names)
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_of_a_known_kind(page: str) -> None:
    """An unknown language could be code that nobody runs."""
    for block in blocks(page):
        known = block.is_python or block.is_shell or block.language in ("text", "toml", "sql")
        assert known, f"{page}: {block.language}; run it in a test, then name it here"


@pytest.mark.parametrize("page", ELSEWHERE)
def test_another_test_runs_all_of_the_page(page: str) -> None:
    runner, known = ELSEWHERE[page]
    text = (ROOT / runner).read_text(encoding="utf-8")
    assert Path(page).stem in text or runner == ".ci/run"
    assert known is None or len(code_blocks(page)) == known, "a block was added: run it, then count it here"


def test_pages_of_mechanisms_are_doctests_throughout() -> None:
    for page in DOCTESTS:
        assert all(block.text.startswith(">>>") for block in code_blocks(page)), page


def understood(words: list[str]) -> None:
    """A command of the program that exists, with options that it knows."""
    command: Any = PROGRAM
    rest = words[1:]
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        name, *rest = rest
        assert name in command.commands, f"no command {name} in: {' '.join(words)}"
        command = command.commands[name]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in rest:
        assert not word.startswith("--") or word in known | {"--help"}, f"{word} in: {' '.join(words)}"


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_commands_of_the_page_exist(page: str) -> None:
    for words in commands(page):
        if "…" not in words and "|" not in " ".join(words):
            understood(words)


def every_command(group: Any, path: str = "gridsettle") -> list[tuple[str, Any]]:
    if not hasattr(group, "commands"):
        return [(path, group)]
    return [one for name, command in group.commands.items() for one in every_command(command, f"{path} {name}")]


@pytest.mark.parametrize(("path", "command"), every_command(PROGRAM))
def test_help_says_what_a_command_does_and_its_examples_exist(path: str, command: Any) -> None:
    assert command.help
    said = f"{command.help}\n{command.epilog or ''}"
    shown = re.findall(r"^\s*(gridsettle .*)$", said, flags=re.MULTILINE)
    assert shown, f"{path}: no example"
    for line in shown:
        words = shlex.split(line, comments=True)
        understood(words)
        assert line.startswith(path)
        command.make_context(path, words[len(path.split()) :])  # every argument is there and of its type
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{path}: {parameter.name} has no help"


FEWER = {("--draws", "1000"): "20"}
"""Values of options that take long, in place of a page's; what pages say of those is tested beside."""


def with_less_work(words: list[str]) -> list[str]:
    """Arguments of a command with fewer repetitions."""
    fewer = ["2" if before == "--seeds" else FEWER.get((before, word), word) for before, word in pairwise(words)]
    return [*fewer, "--starts", "2"] if fewer[:2] == ["study", "survival"] else fewer


@pytest.mark.slow
def test_commands_of_readme_and_how_tos_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All in one folder, page after page, as a reader would; installing is the continuous integration's own step."""
    monkeypatch.chdir(tmp_path)
    pp.to_json(pn.create_cigre_network_lv(), "feeder.json")
    for name in ("north", "south"):  # two feeders, for the study of microgrids
        Path(f"{name}.toml").write_text(format_toml(Scenario(name=name).with_changes(horizon={"hours": 168})))
    data = [block.text for block in blocks("docs/how-to/validate-trades.md") if block.language == "text"]
    Path("trades.csv").write_text(data[0], encoding="utf-8")
    ran: list[str] = []
    for page in HERE:
        for block in code_blocks(page):
            for words in block.commands if block.is_shell else []:
                if words[0] != "gridsettle" or ("--pdf" in words and not shutil.which("chromium")):
                    continue
                if words[1] == "compare" and not Path("runs/stressed-001").exists():
                    assert CliRunner().invoke(app, ["run", "stressed"]).exit_code == 0
                if " ".join(words) in ran and "outage" not in words:
                    continue  # another page has it too
                result = CliRunner().invoke(app, with_less_work(words))
                assert result.exit_code == 0, (words, result.output)
                if words == ["gridsettle", "run"]:
                    shutil.copy("runs/default-001.checkpoint", "copy-of.checkpoint")
                ran.append(" ".join(words))
    assert "gridsettle run" in ran
    assert "gridsettle run outage" in ran


@pytest.mark.slow
def test_own_network_page_is_a_case_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = blocks("docs/how-to/own-network.md")
    participants, profiles = (block.text for block in page if block.language == "text")
    Path("participants.csv").write_text(participants)
    Path("profiles.csv").write_text(profiles)
    Path("mine.toml").write_text(next(block.text for block in page if block.language == "toml"))
    net = pp.create_empty_network()
    medium, low = pp.create_bus(net, 20.0), pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, medium)
    pp.create_transformer(net, medium, low, "0.25 MVA 20/0.4 kV")
    for name in ("house a", "house b"):
        pp.create_line(net, low, pp.create_bus(net, 0.4, name=name), 0.1, "NAYY 4x50 SE")
    pp.to_json(net, "feeder.json")
    for arguments in (["scenario", "check", "mine.toml"], ["run", "mine.toml"]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output


@pytest.mark.slow
def test_private_ledger_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = "docs/how-to/private-ledger.md"
    monkeypatch.chdir(tmp_path)
    Path("private.toml").write_text(written_in(page, "toml")[0])
    lines = [line for text in written_in(page, "sh") for line in text.splitlines()]
    assert len(lines) == 20
    for command in lines:
        name, *arguments = shlex.split(command, comments=True)
        assert name == "gridsettle"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == command.endswith("# exit code 1"), (command, result.output)
    listed = CliRunner().invoke(app, ["ledger", "members", "run"]).output
    assert "replacement=waits  member=4" in listed
    assert "replacement=waits  member=3" not in listed
    CliRunner().invoke(app, ["ledger", "export", "run", "all.jsonl"])
    assert sum(json.loads(line)["record"] == "access" for line in Path("all.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("page", [page for page in PAGES if any(b.language == "toml" for b in blocks(page))])
def test_scenarios_on_the_page_are_scenarios(page: str, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language == "toml" and "[build-system]" not in block.text and "neediest_first" not in block.text:
            (tmp_path / "shown.toml").write_text(block.text, encoding="utf-8")
            assert Scenario.load(tmp_path / "shown.toml").horizon.hours > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_example_shows_what_its_script_prints(name: str) -> None:
    script = ROOT / "docs/examples" / f"{name}.py"
    makes = runpy.run_path(str(ROOT / "docs/examples/as_page.py"))
    done = makes["run_cells"](script)
    shown = {".md": makes["page"](script, done)}
    if script.name in makes["NOTEBOOKS"]:
        shown[".ipynb"] = makes["notebook"](done)
    for suffix, text in shown.items():
        kept = script.with_suffix(suffix).read_text(encoding="utf-8")
        assert text == kept, "run python docs/examples/as_page.py and look at the difference"


def test_a_notebook_is_one_that_jupyter_opens() -> None:
    """What the schema of format 4.5 asks for; cells that only define something or draw have no output."""
    book = json.loads((ROOT / "docs/examples/first_hour.ipynb").read_text(encoding="utf-8"))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in book["cells"]]
    assert len(set(ids)) == len(ids) > 10
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", each) for each in ids)
    for cell in book["cells"]:
        extra = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert set(cell) == {"id", "cell_type", "metadata", "source"} | extra
        for output in cell.get("outputs", []):
            assert set(output) == {"name", "output_type", "text"}
    assert sum(bool(cell.get("outputs")) for cell in book["cells"]) > 5


@pytest.mark.slow
def test_tour_shows_what_its_script_computes(tmp_path: Path) -> None:
    written = tmp_path / "tour.md"
    runpy.run_path(str(ROOT / "docs/examples/tour_of_one_hour.py"))["write"](written)
    assert written.read_text(encoding="utf-8") == (ROOT / "docs/tour.md").read_text(encoding="utf-8")


@pytest.mark.slow  # months of several controls
@pytest.mark.parametrize("page", ["docs/how-to/reactive-power.md", "docs/how-to/voltage-control.md"])
def test_a_page_on_voltages_shows_what_its_code_prints(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(written_in(page, "python")[0], page, "exec"), {})
    assert capsys.readouterr().out in (ROOT / page).read_text(encoding="utf-8")


_OF_ROOFS = ("latitude_deg", "longitude_deg", "tilt_deg", "azimuth_deg")
"""Keys of [pv] that are about generation: docs/how-to/own-houses.md."""


_OF_VOLT_WATT = ("volt_watt", "volt_watt_vm_pu", "volt_watt_share")


def test_voltage_control_page_lists_the_defaults() -> None:
    written, plain = tomllib.loads(written_in("docs/how-to/voltage-control.md", "toml")[0]), Scenario()
    volt_watt = plain.pv.model_dump(mode="json", include=set(_OF_VOLT_WATT))
    assert written["pv"] == {**volt_watt, "volt_watt": True}
    taps = plain.tap_changer.model_dump(mode="json", exclude_none=True)
    assert written["tap_changer"] == {**taps, "enabled": True, "bus": "9"}


def test_reactive_power_page_lists_the_defaults() -> None:
    section = tomllib.loads(written_in("docs/how-to/reactive-power.md", "toml")[0])["pv"]
    of_inverters = Scenario().pv.model_dump(mode="json", exclude={"source", "weather_file", *_OF_ROOFS, *_OF_VOLT_WATT})
    assert of_inverters == {**section, "control": "none", "underexcited": True}
