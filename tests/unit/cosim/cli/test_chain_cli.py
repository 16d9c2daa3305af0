"""The commands about chains: what they say, how they end, and that no key or password is ever shown."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import pytest
from chain_world import (
    KEY,
    MADE,
    OTHER_KEY,
    Clock,
    FakeNode,
    FaultError,
    key_file,
    leave_waiting,
    make_ledger,
    seed,
    seeded,
    served_node,
)
from log_world import forked, grow
from typer.testing import CliRunner, Result

from cosim.cli import chain as commands
from cosim.cli.app import app
from cosim.simulation import simulate
from market.contract.anchors import list_anchors, open_anchor, read_tree
from market.contract.beside import Beside
from market.contract.chain import open_chain
from market.contract.extra import import_extra
from market.contract.outbox import FILE
from market.ledger.crypto.keys import public_bytes
from market.ledger.format.checkpoint import log_origin
from market.ledger.format.note import ED25519, VerifierKey

PASSWORD = "correct-horse"
SCENARIO = """
name = "short"
[horizon]
hours = 24
[houses]
n_houses = 4
n_prosumers = 2
[engine]
window = 6
"""


@pytest.fixture
def node() -> FakeNode:
    return FakeNode()


@pytest.fixture
def url(node: FakeNode) -> Iterator[str]:
    with served_node(node) as served:
        yield served


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return key_file(tmp_path)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A ledger of 21 blocks."""
    return make_ledger(tmp_path / "run")


def invoke(*words: object, code: int = 0) -> Result:
    """Result of a command, which ends as it should, and shows no secret in output, log or trace."""
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == code, done.output
    assert_no_secret(done.output)
    return done


def assert_no_secret(text: str) -> None:
    for secret in (KEY.hex(), OTHER_KEY.hex(), PASSWORD, str(int.from_bytes(KEY, "big")), repr(KEY)):
        assert secret not in text


def deploy(url: str, key: Path, *more: object) -> str:
    """Address of a contract that was made by the command."""
    done = invoke("ledger", "deploy", "--rpc", url, "--key", key, "--confirmations", 1, "--json", *more)
    return str(json.loads(done.stdout)["address"])


def sizes(url: str, address: str) -> list[int]:
    with open_chain(url) as chain:
        return [anchor.size for anchor in list_anchors(open_anchor(chain, address), chain.block().number)]


@pytest.mark.slow
def test_from_a_ledger_to_a_verified_anchor(directory: Path, url: str, key: Path) -> None:
    done = invoke("ledger", "deploy", "--rpc", url, "--key", key, "--confirmations", 1)
    address = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
    assert done.stdout.splitlines()[0] == f"Anchor at {address}, made by 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    assert done.stdout.splitlines()[1].startswith("chain 31337, block 1, ")
    on = ("--rpc", url, "--contract", address, "--key", key, "--confirmations", 1)
    root = read_tree(directory).newest.root.hex()
    done = invoke("ledger", "anchor", directory, *on)
    assert done.stdout == f"{directory}: 21 blocks anchored, root {root} (contract {address}, chain 31337)\n"
    assert "21 blocks anchored before, nothing is new" in invoke("ledger", "anchor", directory, *on).stdout
    check = ("--anchor", address, "--rpc", url, "--confirmations", 1)
    done = invoke("ledger", "verify", directory, *check)
    assert (
        "Anchored: the first 21 blocks, 1 anchor by 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 on chain" in done.stdout
    )
    grow(directory, MADE, 20, 30)
    assert "NOT YET ANCHORED: the last 10 blocks." in invoke("ledger", "verify", directory, *check).stdout
    shown = json.loads(invoke("ledger", "verify", directory, *check, "--json").stdout)["anchors"]
    assert (shown["anchors"], shown["contradiction"]) == ([{"size": 21, "root": root}], "")


def test_a_contract_without_anchors_says_so(directory: Path, url: str, key: Path) -> None:
    address = deploy(url, key, "--ledger", directory)
    done = invoke("ledger", "verify", directory, "--anchor", address, "--rpc", url, "--confirmations", 1)
    assert "NOT YET ANCHORED: the contract of 0xf39F" in done.stdout


def test_a_forked_ledger_ends_with_1(url: str, key: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    forked(one, other, 12)
    address = deploy(url, key)
    on = ("--rpc", url, "--contract", address, "--key", key, "--confirmations", 1)
    invoke("ledger", "anchor", one, *on)
    done = invoke("ledger", "verify", other, "--anchor", address, "--rpc", url, "--confirmations", 1, code=1)
    assert "NOT WHAT WAS ANCHORED: FORK: 31 blocks were anchored with root" in done.stdout
    for more in ((), ("--every", "1s")):
        done = invoke("ledger", "anchor", other, *on, *more, code=1)
        assert "NOT WHAT WAS ANCHORED: FORK" in done.stdout
    done = invoke("ledger", "verify", other, "--anchor", address, "--rpc", url, "--confirmations", 1, "--json", code=1)
    assert json.loads(done.stdout)["anchors"]["contradiction"].startswith("FORK")


def test_a_receipt_is_proven_by_the_contract_too(directory: Path, url: str, key: Path, tmp_path: Path) -> None:
    address = deploy(url, key)
    invoke("ledger", "anchor", directory, "--rpc", url, "--contract", address, "--key", key, "--confirmations", 1)
    grow(directory, MADE, 20, 30)
    chain_id = read_tree(directory).chain_id
    operator = tmp_path / "operator.vkey"
    operator.write_text(VerifierKey(log_origin(chain_id), ED25519, public_bytes(MADE.key)).text())
    check = ("--key", operator, "--anchor", address, "--rpc", url, "--confirmations", 1)
    new, old = tmp_path / "new.json", tmp_path / "old.json"
    invoke("ledger", "prove", directory, 5, 2, "--out", new)
    done = invoke("ledger", "verify-receipt", new, *check, code=1)
    assert "its checkpoint of 31 blocks is not anchored, but 21; make it with --size" in done.stdout
    invoke("ledger", "prove", directory, 5, 2, "--out", old, "--size", 21)
    assert "proven, block 6 of 21" in invoke("ledger", "verify-receipt", old, *check).stdout
    done = invoke("ledger", "prove", directory, 5, 2, "--size", 22, code=2)
    assert "expected a checkpoint of 22 blocks that covers block 6, found 31, 21" in done.stderr
    other = deploy(url, key)
    done = invoke("ledger", "verify-receipt", old, *check[:2], "--anchor", other, *check[4:], code=1)
    assert "is not anchored, but none" in done.stdout


def test_a_root_that_the_list_does_not_show_proves_no_receipt(url: str, node: FakeNode, tmp_path: Path) -> None:
    """Whoever makes a contract with code of their own may leave the genuine code and a root of a fork behind."""
    made = forked(tmp_path / "one", tmp_path / "other", 12)
    tree, receipt, operator = read_tree(tmp_path / "other"), tmp_path / "receipt.json", tmp_path / "operator.vkey"
    operator.write_text(VerifierKey(log_origin(tree.chain_id), ED25519, public_bytes(made.key)).text())
    invoke("ledger", "prove", tmp_path / "other", 5, 2, "--out", receipt)
    for listed, hidden, said in (
        ([], [tree.newest], "its checkpoint of 32 blocks is not anchored, but none"),
        ([tree.newest], [], "an anchor of 32 blocks, but the node shows no transaction that brought it"),
    ):
        address = seeded(url, Clock(node), seed(tree.chain_id, listed, hidden))
        on = ("--key", operator, "--anchor", address, "--rpc", url, "--confirmations", 1, "--patience", 60)
        done = invoke("ledger", "verify-receipt", receipt, *on, code=1)
        assert f"{receipt}: NOT PROVEN: " in done.stdout
        assert said in done.stdout


def test_a_contract_that_lists_endlessly_many_anchors_is_told(
    directory: Path, url: str, node: FakeNode, key: Path
) -> None:
    """Its maker says there are 2^60, and its storage has none: the first does not grow."""
    address = seeded(url, Clock(node), seed(read_tree(directory).chain_id, []) | {2: 1 << 60})
    on = ("--rpc", url, "--confirmations", 1)
    done = invoke("ledger", "verify", directory, "--anchor", address, *on, code=2)
    assert "in order of size, got 0 blocks after 0; the node lies, or whoever made the contract wrote" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    done = invoke("ledger", "anchor", directory, "--contract", address, "--key", key, *on, code=2)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": float("inf")}, "expected waiting.size to be a whole number from 0 to"),
        ({"gas": float("inf")}, "expected waiting.gas to be a whole number from 21,000 to 12,000,000, got Infinity"),
        ({"size": -5}, "expected waiting.size to be a whole number from 0 to 9,223,372,036,854,775,807, got -5"),
        ({"nonce": 99_999}, "expected waiting.versions[0].raw to be signed with the nonce that stands beside it"),
        (
            {"versions": [{"hash": "11" * 32, "raw": "00", "price": 1, "tip": 1}] * 300},
            "a list of 1 to 256, got a list of 300",
        ),
        ({"versions": [{"hash": "11" * 32, "raw": "00", "price": 1, "tip": 1}] * 300_000}, "at most 16,777,216 bytes"),
    ],
)
def test_an_outbox_of_a_stranger_is_one_message(
    change: dict[str, object], said: str, directory: Path, url: str, node: FakeNode, key: Path
) -> None:
    address = deploy(url, key, "--ledger", directory)
    entry = leave_waiting(directory, url, node, address)
    content = {"format": "gridsettle anchors v1", f"31337:{address}": {"confirmed": [], "waiting": entry | change}}
    (directory / FILE).write_text(json.dumps(content))
    n = len(node.sent)
    on = ("--rpc", url, "--contract", address, "--key", key, "--confirmations", 1, "--patience", 5)
    done = invoke("ledger", "anchor", directory, *on, code=2)
    assert len(done.stderr.splitlines()) == 1
    assert f"{directory / FILE}: expected " in done.stderr
    assert said in done.stderr
    assert "move it away" in done.stderr
    assert len(node.sent) == n


def test_a_keystore_is_opened_by_its_password(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keystore, password = tmp_path / "keystore.json", tmp_path / "password"
    keystore.touch(mode=0o600)
    keystore.write_text(json.dumps(import_extra("eth_account").Account.encrypt(KEY, PASSWORD, iterations=4)))
    password.write_text(f"{PASSWORD}\n")
    password.chmod(0o644)
    on = ("ledger", "deploy", "--rpc", url, "--key", keystore, "--confirmations", 1)
    with caplog.at_level(logging.DEBUG):
        assert "only its owner can read" in invoke(*on, "--password-file", password, code=2).stderr
        password.chmod(0o600)
        invoke(*on, "--password-file", password)
        monkeypatch.setenv("GRIDSETTLE_PASSPHRASE", PASSWORD)
        invoke("-vv", *on)
        monkeypatch.setenv("GRIDSETTLE_PASSPHRASE", "wrong")
        assert "expected the key of its password" in invoke(*on, code=2).stderr
        monkeypatch.delenv("GRIDSETTLE_PASSPHRASE")
        done = CliRunner().invoke(app, list(map(str, on)), input=f"{PASSWORD}\n")
        assert done.exit_code == 0
        assert_no_secret(done.output)
    assert_no_secret(caplog.text)


def test_whatever_fails_no_secret_is_shown(
    directory: Path, url: str, key: Path, node: FakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    address = deploy(url, key)
    on = ("ledger", "anchor", directory, "--rpc", url, "--contract", address, "--confirmations", 1, "--key", key)
    said = {}
    with caplog.at_level(logging.DEBUG):
        for method in sorted(set(node.asked) | {"eth_call", "eth_getTransactionByHash"}):
            node.faults[method] = [FaultError(-32000, f"{method} fails")] * 5
            said[method] = CliRunner().invoke(app, list(map(str, on)))
            node.faults.clear()
    for method, done in said.items():
        assert done.exit_code in (0, 2), method
        assert_no_secret(done.output)
        assert done.exception is None or isinstance(done.exception, SystemExit)
        assert len(done.stderr.splitlines()) == (done.exit_code == 2)
    assert_no_secret(caplog.text)
    assert_no_secret("".join(path.read_text(errors="replace") for path in directory.glob("*.json")))


BAD = [
    (("--key", "KEY", "--rpc", "ftp://x"), "expected the URL of a node"),
    (("--key", "OPEN", "--rpc", "URL"), "expected a key that only its owner can read"),
    (("--key", "NONE", "--rpc", "URL"), "none.key: expected a key file, got No such file"),
    (
        ("--key", "KEY", "--rpc", "URL", "--chain-id", 1),
        "expected a node of chain 1 (--chain-id), got one of chain 31337",
    ),
    (("--key", "KEY", "--rpc", "http://127.0.0.1:9"), "is it the URL of a node's JSON-RPC?"),
    (("--key", "KEY", "--rpc", "URL", "--max-fee", 1), "expected gas for at most 1 gwei, got 3"),
]


@pytest.mark.parametrize(("words", "said"), BAD)
def test_what_cannot_be_used_ends_with_2(
    words: tuple[object, ...], said: str, url: str, key: Path, tmp_path: Path
) -> None:
    shared = key_file(tmp_path, name="open.key")
    shared.chmod(0o644)
    given = {"KEY": key, "OPEN": shared, "NONE": tmp_path / "none.key", "URL": url}
    done = invoke("ledger", "deploy", *(given.get(str(word), word) for word in words), code=2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_other_bad_input_of_these_commands(directory: Path, url: str, key: Path, node: FakeNode) -> None:
    on = ("--rpc", url, "--key", key)
    assert "--contract: expected one of anchor" in invoke("ledger", "deploy", *on, "--contract", "x", code=2).stderr
    assert "--argument: expected" in invoke("ledger", "deploy", *on, "--argument", "x", code=2).stderr
    wrong = invoke("ledger", "anchor", directory, *on, "--contract", "0x12", code=2)
    assert "--contract: expected an address" in wrong.stderr
    nobody = "0x" + "12" * 20
    assert "found none; deploy one" in invoke("ledger", "anchor", directory, *on, "--contract", nobody, code=2).stderr
    for every in ("24", "h", "0s", "-1h", "1w", "9999999s"):
        done = invoke("ledger", "anchor", directory, *on, "--contract", nobody, "--every", every, code=2)
        assert "--every: expected a time such as 90s" in done.stderr
    assert "--rpc" in invoke("ledger", "verify", directory, "--anchor", nobody, code=2).stderr
    done = invoke("ledger", "verify", directory, "--anchor", nobody, "--rpc", url, "--to", 3, code=2)
    assert "--anchor: expected all blocks to be read, got --to" in done.stderr
    assert node.sent == []


def test_without_the_extra_it_is_said_how_to_install_it(
    directory: Path, url: str, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = importlib.import_module

    def fail(module: str, package: str | None = None) -> object:
        if module.startswith("eth_"):
            raise ImportError(module)
        return kept(module, package)

    monkeypatch.setattr(importlib, "import_module", fail)
    address = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
    on = ("--rpc", url, "--key", key)
    for words in (
        ("deploy", *on),
        ("anchor", directory, *on, "--contract", address),
        ("verify", directory, "--anchor", address, "--rpc", url),
    ):
        done = invoke("ledger", *words, code=2)
        assert "install it with: python -m pip install 'gridsettle[evm]'" in done.stderr
    done = invoke("ledger", "verify", directory)
    assert done.exit_code == 0


class EndedError(Exception):
    """The command would go on for ever."""


def test_a_command_that_stays_tells_once_what_it_waits_for(
    directory: Path, url: str, key: Path, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = deploy(url, key)
    rounds: list[int] = []
    done_round = commands.run_round

    def run_round(*arguments: object) -> str:
        rounds.append(1)
        if len(rounds) in (2, 3):
            node.faults["eth_chainId"] = [FaultError(-32000, "busy")]
        if len(rounds) == 4:
            grow(directory, MADE, 20, 30)
        if len(rounds) == 5:
            raise EndedError
        return done_round(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(commands, "run_round", run_round)
    monkeypatch.setattr(commands, "parse_duration", lambda text: 0.01)
    words = ["ledger", "anchor", directory, "--rpc", url, "--contract", address, "--key", key, "--every", "24h"]
    done = CliRunner().invoke(app, [*map(str, words), "--confirmations", "1"])
    assert isinstance(done.exception, EndedError)
    assert done.stdout.count("blocks anchored,") == 2
    assert done.stderr.count("waiting: ") == 1
    assert sizes(url, address) == [21, 31]


@pytest.mark.slow
def test_a_run_is_anchored_while_it_goes_on_and_its_ledger_is_the_same(
    url: str, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulate, "GROUP", 6)
    scenario = tmp_path / "short.toml"
    scenario.write_text(SCENARIO)
    plain = tmp_path / "plain"
    invoke("run", scenario, "--out", plain, "--no-report", "--quiet")
    address = deploy(url, key)
    on = ("--chain", url, "--contract", address, "--chain-key", key, "--confirmations", 1, "--anchor-every", 6)
    noticed: list[int] = []
    notice = Beside.notice

    def wait_for_first(self: Beside, n_blocks: int) -> None:
        noticed.append(n_blocks)
        notice(self, n_blocks)
        while n_blocks == 7 and self.n_anchored == 0:
            sleep(0.01)

    monkeypatch.setattr(Beside, "notice", wait_for_first)
    done = invoke("run", scenario, "--out", tmp_path / "run", "--no-report", *on)
    assert noticed == [7, 13, 19, 25]
    assert done.stdout.splitlines()[-1] == f"{tmp_path / 'run'}: 25 blocks anchored"
    assert read_tree(tmp_path / "run").hashes == read_tree(plain).hashes
    found = sizes(url, address)
    assert (found[0], found[-1]) == (7, 25)
    assert set(found) <= {7, 13, 19, 25}
    invoke("run", scenario, "--out", tmp_path / "run", "--no-report", "--quiet", "--resume", *on)
    assert sizes(url, address) == found


@pytest.mark.slow
def test_a_node_that_dies_stops_no_run_and_a_resumed_one_leaves_no_gap(
    url: str, key: Path, node: FakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulate, "GROUP", 6)
    scenario, out = tmp_path / "short.toml", tmp_path / "run"
    scenario.write_text(SCENARIO)
    address = deploy(url, key)
    on = ("--chain", url, "--contract", address, "--chain-key", key, "--confirmations", 1, "--anchor-every", 1)
    asked: list[str] = []
    kept = node.handle

    def die(method: str, params: list[object]) -> object:
        asked.append(method)
        if asked.count("eth_sendRawTransaction") > 1:
            raise FaultError(-32000, "the node is dead")
        return kept(method, params)

    node.handle = die  # type: ignore[method-assign]
    done = invoke("run", scenario, "--out", out, "--no-report", "--quiet", *on, code=1)
    assert len(done.stderr.splitlines()) == 2
    assert "the node is dead" in done.stderr
    assert f"go on with: gridsettle ledger anchor {out}" in done.stderr
    assert (out / "summary.json").exists()
    invoke("ledger", "verify", out)
    node.handle = kept  # type: ignore[method-assign]
    invoke("run", scenario, "--out", out, "--no-report", "--quiet", "--resume", *on)
    assert sizes(url, address)[-1] == 25
    numbers = [(tx["from"], tx["nonce"]) for block in node.blocks for tx in block]
    assert len(numbers) == len(set(numbers)) == len(sizes(url, address)) + 2
    shown = json.loads((out / "anchors.json").read_text())[f"31337:{address}"]
    assert [each["size"] for each in shown["confirmed"]] == sizes(url, address)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--chain", "URL"), "--chain: expected --contract ADDRESS and --chain-key FILE with it"),
        (("--contract", "0x12"), "--contract: expected --chain URL with it"),
        (("--chain-key", "KEY"), "--chain-key: expected --chain URL with it"),
        (("--chain", "URL", "--contract", "0x" + "12" * 20, "--chain-key", "KEY"), "found none; deploy one with"),
        (("--chain", "http://127.0.0.1:9", "--contract", "0x" + "12" * 20, "--chain-key", "KEY"), "is it the URL"),
    ],
)
def test_a_run_does_not_begin_where_it_cannot_be_anchored(
    words: tuple[str, ...], said: str, url: str, key: Path, tmp_path: Path
) -> None:
    given = [{"KEY": str(key), "URL": url}.get(word, word) for word in words]
    done = invoke("run", "--out", tmp_path / "run", *given, code=2)
    assert said in done.stderr
    assert not (tmp_path / "run").exists()
