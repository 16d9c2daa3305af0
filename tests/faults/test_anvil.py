"""Anchors on a real node: it dies, reorganises its blocks, keeps transactions waiting, and is of another chain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from chain_world import KEY, MADE, Anvil, key_file, make_ledger, needs_tools, running_anvil
from ledger_world import append, begin
from log_world import grow
from typer.testing import CliRunner, Result

from cosim.cli.app import app
from cosim.simulation import simulate
from market.contract.accounts import Account
from market.contract.anchoring import Anchorer
from market.contract.anchors import list_anchors, open_anchor, read_tree
from market.contract.chain import open_chain
from market.contract.sender import LostError, Pace, Sender, SlowError

pytestmark = [needs_tools, pytest.mark.slow]
ADDRESS = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
"""Of the first contract that the first account of an anvil makes."""
SCENARIO = "[horizon]\nhours = 48\n[houses]\nn_houses = 4\nn_prosumers = 2\n[engine]\nwindow = 6\n"


@pytest.fixture
def anvil(tmp_path: Path) -> Iterator[Anvil]:
    with running_anvil(tmp_path) as running:
        yield running


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A ledger of 21 blocks."""
    return make_ledger(tmp_path / "run")


def invoke(*words: object, code: int = 0) -> Result:
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == code, done.output
    assert KEY.hex() not in done.output
    return done


def deploy(anvil: Anvil, key: Path) -> None:
    done = invoke("ledger", "deploy", "--rpc", anvil.url, "--key", key, "--confirmations", 1, "--json")
    assert json.loads(done.stdout)["address"] == ADDRESS


def sizes(anvil: Anvil) -> list[int]:
    with open_chain(anvil.url) as chain:
        return [anchor.size for anchor in list_anchors(open_anchor(chain, ADDRESS), chain.block().number)]


def ask(anvil: Anvil, method: str, *parameters: Any) -> Any:
    with open_chain(anvil.url) as chain:
        return chain.rpc.ask(method, *parameters)


@contextmanager
def sender_of(anvil: Anvil, **pace: Any) -> Iterator[Sender]:
    with open_chain(anvil.url) as chain:
        yield Sender(chain, Account(KEY), Pace(**{"confirmations": 1, "patience_s": 20.0, **pace}))


def test_a_ledger_is_anchored_verified_and_proven(anvil: Anvil, directory: Path, tmp_path: Path) -> None:
    key = key_file(tmp_path)
    deploy(anvil, key)
    on = ("--rpc", anvil.url, "--contract", ADDRESS, "--key", key, "--confirmations", 1)
    check = ("--anchor", ADDRESS, "--rpc", anvil.url, "--confirmations", 1)
    for stop in (20, 27, 41, 60):
        if stop > 20:
            grow(directory, MADE, {27: 20, 41: 27, 60: 41}[stop], stop)
        invoke("ledger", "anchor", directory, *on)
        assert f"the first {stop + 1} blocks" in invoke("ledger", "verify", directory, *check).stdout
    assert sizes(anvil) == [21, 28, 42, 61]
    assert ask(anvil, "eth_getTransactionCount", Account(KEY).address, "latest") == hex(1 + 1 + 4)
    refused = invoke("ledger", "anchor", directory, *on, "--chain-id", 1, code=2)
    assert "expected a node of chain 1 (--chain-id), got one of chain 31337" in refused.stderr


def test_an_account_without_coin_is_told_so(anvil: Anvil, tmp_path: Path) -> None:
    poor = key_file(tmp_path, b"\7" * 32, "poor.key")
    done = invoke("ledger", "deploy", "--rpc", anvil.url, "--key", poor, code=2)
    assert "send some to this account" in done.stderr or "expected enough coin" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_waiting_transaction_is_replaced_and_carried_out_once(tmp_path: Path, directory: Path) -> None:
    with running_anvil(tmp_path) as anvil:
        deploy(anvil, key_file(tmp_path))
        ask(anvil, "evm_setAutomine", False)
        ask(anvil, "anvil_setBlockTimestampInterval", 1)
        with sender_of(anvil, replace_after_s=0.3, poll_s=0.1, patience_s=2.0) as sender:
            anchorer = Anchorer(sender, ADDRESS)
            with pytest.raises(SlowError):
                anchorer.run_round(directory)
        waiting = json.loads((directory / "anchors.json").read_text())[f"31337:{ADDRESS}"]["waiting"]
        assert len(waiting["versions"]) > 2
        ask(anvil, "evm_setAutomine", True)
        ask(anvil, "evm_mine")
        with sender_of(anvil) as sender:
            Anchorer(sender, ADDRESS).run_round(directory)
        assert sizes(anvil) == [21]
        assert ask(anvil, "eth_getTransactionCount", Account(KEY).address, "latest") == hex(3)


def test_a_number_that_was_taken_is_lost(anvil: Anvil) -> None:
    with sender_of(anvil) as sender:
        one = sender.prepare("0x" + "11" * 20, b"", None, "one")
        other = sender.prepare("0x" + "12" * 20, b"", None, "other")
        sender.settle(one)
        with pytest.raises(LostError, match="another one has it"):
            sender.settle(other)


@pytest.mark.parametrize("kept", [True, False])
def test_a_reorganised_anchor_comes_back_once(kept: bool, anvil: Anvil, directory: Path, tmp_path: Path) -> None:
    """By the node, which carries its transaction out again, or by the next round, if it was lost."""
    key = key_file(tmp_path)
    deploy(anvil, key)
    on = ("--rpc", anvil.url, "--contract", ADDRESS, "--key", key, "--confirmations", 1)
    before = ask(anvil, "evm_snapshot")
    invoke("ledger", "anchor", directory, *on)
    assert sizes(anvil) == [21]
    if kept:
        ask(anvil, "anvil_reorg", 1, [])
    else:
        assert ask(anvil, "evm_revert", before)
        assert sizes(anvil) == []
    invoke("ledger", "anchor", directory, *on)
    grow(directory, MADE, 20, 60)
    invoke("ledger", "anchor", directory, *on)
    assert sizes(anvil) == [21, 61]
    shown = json.loads((directory / "anchors.json").read_text())[f"31337:{ADDRESS}"]
    assert [each["size"] for each in shown["confirmed"]] == [21, 61]
    assert "waiting" not in shown


def test_a_node_that_is_killed_midway_leaves_no_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on; the node comes back with what it knew; the resumed run anchors what is missing, once."""
    monkeypatch.setattr(simulate, "GROUP", 6)
    scenario, out, key = tmp_path / "short.toml", tmp_path / "run", key_file(tmp_path)
    scenario.write_text(SCENARIO)
    with running_anvil(tmp_path) as anvil:
        deploy(anvil, key)
        on = ("--chain", anvil.url, "--contract", ADDRESS, "--chain-key", key, "--confirmations", 1)
        run = ("run", scenario, "--out", out, "--no-report", "--quiet", "--anchor-every", 1)
        record = simulate.Recorder.record
        groups: list[int] = []

        def kill(self: Any, *arguments: Any) -> None:
            record(self, *arguments)
            groups.append(1)
            if len(groups) == 2:
                sleep(0.5)  # the first anchor is on its way, or there
                anvil.stop()

        with monkeypatch.context() as patched:
            patched.setattr(simulate.Recorder, "record", kill)
            done = invoke(*run, *on, code=1)
        assert len(groups) == 8
        assert "not all of it is anchored; go on with: gridsettle ledger anchor" in done.stderr
        head = read_tree(out).newest
        assert head.size == 49
        anvil.start()
        invoke(*run, *on, "--resume")
        found = sizes(anvil)
        assert found[-1] == 49
        assert found == sorted(set(found))
        assert read_tree(out).newest == head
        used = int(ask(anvil, "eth_getTransactionCount", Account(KEY).address, "latest"), 16)
        assert used == 2 + len(found)
        done = invoke("ledger", "verify", out, "--anchor", ADDRESS, "--rpc", anvil.url, "--confirmations", 1)
        assert "Anchored: the first 49 blocks" in done.stdout


def test_gas_of_an_anchor_is_what_the_page_says(anvil: Anvil, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    with begin(directory, MADE) as ledger:
        append(ledger, MADE, 0, 20)
    deploy(anvil, key_file(tmp_path))
    with sender_of(anvil) as sender:
        anchorer = Anchorer(sender, ADDRESS)
        anchorer.run_round(directory)
        grow(directory, MADE, 20, 60)
        anchorer.run_round(directory)
    outbox = json.loads((directory / "anchors.json").read_text())[f"31337:{ADDRESS}"]
    used = [
        int(ask(anvil, "eth_getTransactionReceipt", f"0x{each['transaction']}")["gasUsed"], 16)
        for each in outbox["confirmed"]
    ]
    assert all(gas < 120_000 for gas in used), used
