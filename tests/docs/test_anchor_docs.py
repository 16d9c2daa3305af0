"""The page on anchors (anchor-a-ledger) does what it says: its five commands, on a chain of this test."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from chain_world import find_tool, needs_tools
from doc_blocks import ROOT, blocks, text_of

PAGE = "docs/how-to/anchor-a-ledger.md"
NPX = "npx --yes @foundry-rs/anvil@1.7.1"


@needs_tools
@pytest.mark.slow
def test_five_commands_lead_from_nothing_to_an_anchored_ledger(tmp_path: Path, unused_port: int) -> None:
    (script,) = (block.text for block in blocks(PAGE) if block.language == "bash")
    commands = script.splitlines()
    assert len(commands) == 5
    assert commands[0].startswith(NPX)
    url = f"http://127.0.0.1:{unused_port}"
    here = [
        line.replace("http://127.0.0.1:8545", url).replace("--quiet", "--quiet --no-report") for line in commands[1:]
    ]
    program = f'gridsettle() {{ "{sys.executable}" -m cosim.cli.entry "$@"; }}'
    wait = f"until (echo > /dev/tcp/127.0.0.1/{unused_port}) 2> /dev/null; do sleep 0.1; done"
    faster = commands[0].replace(NPX, find_tool("anvil")).replace("--block-time 1", "--block-time 0.2")
    begin = f"{faster.removesuffix(' &')} --port {unused_port} &"
    text = "\n".join(["set -e", program, begin, "trap 'kill %1' EXIT", wait, *here])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", text], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Anchor at 0x5FbDB2315678afecb367f032d93F642f64180aa3" in done.stdout
    last = next(line for line in done.stdout.splitlines() if line.startswith("Anchored: "))
    assert last in text_of(PAGE)
    assert oct((tmp_path / "account.key").stat().st_mode)[-3:] == "600"


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_the_version_of_anvil_is_that_of_the_tools() -> None:
    package = (ROOT / "market/contract/solidity/package.json").read_text(encoding="utf-8")
    found = re.search(r'"@foundry-rs/anvil": "([^"]+)"', package)
    assert found is not None
    assert f"@foundry-rs/anvil@{found[1]} " in text_of(PAGE)
