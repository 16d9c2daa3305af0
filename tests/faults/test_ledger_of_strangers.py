"""Ledgers and member stores from strangers: every command ends with one message, nothing runs, nothing is written."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from hostile_files import LEDGERS, VAULTS, beside, journal_that_names
from ledger_world import begin, world, written
from private_world import COVERED, append_covered, begin_private
from typer.testing import CliRunner

from cosim.cli.app import app
from market.errors import LedgerError
from market.exchanges import OPERATOR
from market.ledger.crypto.keys import write_key_pair
from market.ledger.format.header import make_demonstration_key
from market.ledger.private.vault import Vault, vault_path
from market.ledger.store.store import Store
from market.ledger.write.ledger import Ledger

pytestmark = pytest.mark.slow  # every command on every file, in processes of their own

MADE, HOUSES = world(4, 24, seed=6, parameters=COVERED), [0, 1, 2]
COMMANDS = {
    "verify": ["verify", "run"],
    "show": ["show", "run"],
    "show 3": ["show", "run", "3", "--json"],
    "prove": ["prove", "run", "5", "1"],
    "export lines": ["export", "run", "out.jsonl"],
    "export tables": ["export", "run", "tables"],
    "account": ["account", "run", "0"],
    "audit": ["audit", "run"],
    "members": ["members", "run"],
}
OPENING = {
    "verify": ["verify", "run", "--open-with", "keys/operator.key"],
    "account": ["account", "run", "0", "--key", "keys/0.key"],
    "audit": ["audit", "run", "--open-with", "keys/operator.key"],
}
LONGEST_S = 30
"""A command that has not ended by then never will."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("sound") / "run", world(4, 24, seed=6), 8)


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private ledger, its stores and its keys."""
    directory = tmp_path_factory.mktemp("private") / "run"
    keys = {member: make_demonstration_key(100 + member) for member in HOUSES}
    with begin_private(directory, MADE, keys) as ledger:
        append_covered(ledger, MADE, HOUSES, 0, 24)
    folder = directory.with_name("keys")
    folder.mkdir()
    write_key_pair(folder / "operator.key", MADE.key)
    write_key_pair(folder / "0.key", keys[0])
    return directory


@contextmanager
def must_end() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError("the command does not end")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fingerprint(directory: Path) -> dict[str, str]:
    """Every file of a directory and what it holds."""
    return {
        str(path.relative_to(directory)): sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
        for path in sorted(directory.rglob("*"))
        if not path.is_symlink()
    }


def ends_well(arguments: list[str], allowed: tuple[int, ...] = (1, 2)) -> str:
    """Output of a command that must end by itself with one message."""
    with must_end():
        result = CliRunner().invoke(app, ["ledger", *arguments])
    assert isinstance(result.exception, SystemExit) or result.exception is None, result.exception
    assert result.exit_code in allowed, result.output
    assert "Traceback" not in result.output
    assert result.exit_code != 2 or result.output.count("gridsettle:") == 1
    return result.output


def sent(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a run in the current directory, as a stranger might send it."""
    for name in ("run", "keys", "run.checkpoint"):
        original = source.with_name(name)
        if original.is_dir():
            shutil.copytree(original, tmp_path / name)
        elif original.exists():
            shutil.copy(original, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


BROKEN = ("an endless view", "an extra", "a trigger", "a pipe", "a device", "another application")


@pytest.mark.parametrize("case", LEDGERS)
def test_a_hostile_ledger_is_refused_by_every_command(
    case: str, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = sent(sound, tmp_path, monkeypatch)
    LEDGERS[case](directory / "ledger.sqlite")
    before = fingerprint(directory)
    for name, arguments in COMMANDS.items():
        # What verify calls broken may be sound in the one block or column that another command reads.
        ends_well(arguments, (1, 2) if name == "verify" or case.startswith(BROKEN) else (0, 1, 2))
        assert fingerprint(directory) == before, f"{name} has written"


@pytest.mark.parametrize("case", VAULTS)
def test_a_hostile_store_is_refused_by_every_command(
    case: str, private: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = sent(private, tmp_path, monkeypatch)
    for member in (OPERATOR, 0):
        VAULTS[case](vault_path(directory, member))
    before = fingerprint(directory)
    for name, arguments in OPENING.items():
        ends_well(arguments, (0, 1, 2) if case.startswith("garbled") else (1, 2))
        assert fingerprint(directory) == before, f"{name} has written"


def test_the_sound_ones_are_read_and_left_as_they_are(
    sound: Path, private: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    directory = sent(sound, tmp_path / "a", monkeypatch)
    before = fingerprint(directory)
    for name, arguments in COMMANDS.items():
        ends_well(arguments, (2,) if name == "audit" else (0,))  # it has no scenario to audit
    assert fingerprint(directory) == before
    (tmp_path / "b").mkdir()
    directory = sent(private, tmp_path / "b", monkeypatch)
    before = fingerprint(directory)
    for name, arguments in OPENING.items():
        ends_well(arguments, (2,) if name == "audit" else (0,))
    assert fingerprint(directory) == before


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
@pytest.mark.parametrize("content", [b"\0" * 40, b"garbage" * 1000, bytes.fromhex("377f0682") + b"\1" * 4000])
def test_a_log_that_is_none_changes_nothing(
    suffix: str, content: bytes, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = sent(sound, tmp_path, monkeypatch)
    beside(suffix, content)(directory / "ledger.sqlite")
    before = fingerprint(directory)
    for name, arguments in COMMANDS.items():
        ends_well(arguments, (0, 1, 2))
        assert fingerprint(directory) == before, f"{name} has written"


@pytest.mark.parametrize("what", ["ledger", "store"])
def test_a_journal_deletes_nothing(
    what: str, sound: Path, private: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite deletes the file that a journal names, once it has rolled the journal back."""
    directory = sent(sound if what == "ledger" else private, tmp_path, monkeypatch)
    victim = tmp_path / "victim"
    victim.write_text("dear")
    file = directory / "ledger.sqlite" if what == "ledger" else vault_path(directory, 0)
    journal_that_names(victim)(file)
    for arguments in (COMMANDS if what == "ledger" else OPENING).values():
        ends_well(arguments, (0, 1, 2))
    with pytest.raises(LedgerError, match="names another file; remove it"):
        Ledger.resume(directory, MADE.key) if what == "ledger" else Vault(file)
    assert victim.read_text() == "dear"


def test_nobody_writes_into_a_file_that_is_not_ours(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a trigger of a stranger would do on the operator's machine when the operator writes."""
    for k, case in enumerate(("a trigger", "an extra table", "a check", "an endless view block")):
        (tmp_path / str(k)).mkdir()
        directory = sent(sound, tmp_path / str(k), monkeypatch)
        LEDGERS[case](directory / "ledger.sqlite")
        with pytest.raises(LedgerError, match="expected a gridsettle ledger, got"):
            Store.open_to_write(directory)


def test_what_a_killed_writer_left_is_read_from_a_copy(tmp_path: Path, sound: Path) -> None:
    made = world(4, 24, seed=6)
    with begin(tmp_path / "run", made) as ledger:
        ledger.append(made.starts, made.records, made.offsets, made.roots, b"")
        shutil.copytree(tmp_path / "run", tmp_path / "killed")
    assert (tmp_path / "killed" / "ledger.sqlite-wal").stat().st_size > 0
    (tmp_path / "killed" / "ledger.sqlite-shm").unlink()
    before = fingerprint(tmp_path / "killed")
    with Store.open_to_read(tmp_path / "killed") as store:
        assert store.size() == 25
    assert fingerprint(tmp_path / "killed") == before


DEEP = '{"format": "gridsettle receipt v2", "record": ' + "[" * 200_000 + "]" * 200_000 + "}"
SMALL_FILES = {
    "deep": DEEP.encode(),
    "long": b"[" * (1 << 21),
    "a huge number": b'{"format": "gridsettle receipt v2", "seq": ' + b"9" * 5000 + b"}",
    "an infinite number": b'{"format": "gridsettle receipt v2", "record": "", "header": "", "seq": Infinity}',
    "a number": b"7",
    "nothing": b"",
    "no text": b"\xff\xfe\x00",
    "zeros": bytes(5000),
    "a key of no kind": b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VxAyEA\n-----END PUBLIC KEY-----\n",
    "a note of a huge size": b"gridsettle/0\n" + b"9" * 4000 + b"\nAAAA\n\n\xe2\x80\x94 gridsettle/0 AAAAAAAA\n",
}
READING = {
    "receipt": ["verify-receipt", "it", "--key", "keys/operator.pub"],
    "pinned key": ["verify", "run", "--key", "it"],
    "checkpoint": ["verify", "run", "--checkpoint", "it"],
    "witness": ["verify", "run", "--witness", "it"],
    "private key": ["register", "run", "0", "--key", "it"],
    "key that opens": ["verify", "run", "--open-with", "it"],
    "cosigned note": ["cosign", "it", "--key", "keys/0.key", "--name", "w", "--log", "it", "--ledger", "run"],
    "datasheet": ["device", "run", "0", "1", "--kind", "pv", "--bus", "1", "--power-w", "1", "--key", "keys/0.key",
                  "--datasheet", "it"],
}  # fmt: skip


@pytest.mark.parametrize("what", READING)
@pytest.mark.parametrize("kind", [*SMALL_FILES, "a pipe", "a device", "a folder"])
def test_a_small_file_of_a_stranger_is_one_message(
    what: str, kind: str, private: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(private, tmp_path, monkeypatch)
    file = tmp_path / "it"
    if kind in SMALL_FILES:
        file.write_bytes(SMALL_FILES[kind])
        file.chmod(0o600)
    elif kind == "a pipe":
        os.mkfifo(file, 0o600)
    elif kind == "a device":
        file.symlink_to("/dev/zero")
    else:
        file.mkdir(0o700)
    allowed = (0, 1, 2) if what == "datasheet" and kind in SMALL_FILES else (1, 2)
    assert "it" in ends_well(READING[what], allowed)


@pytest.mark.parametrize("place", ["run.checkpoint", "run/requests/x.request", "run/ledger.lock", "keys/0.seen"])
@pytest.mark.parametrize("kind", ["a pipe", "a device", "a folder", "long", "no text"])
def test_a_file_that_is_only_there_is_one_message(
    place: str, kind: str, private: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that commands find by themselves beside the one that was asked for."""
    sent(private, tmp_path, monkeypatch)
    file = tmp_path / place
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    if kind in SMALL_FILES:
        file.write_bytes(SMALL_FILES[kind])
    elif kind == "a pipe":
        os.mkfifo(file)
    elif kind == "a device":
        file.symlink_to("/dev/zero")
    else:
        file.mkdir()
    operator = ["--operator-key", "keys/operator.key"]
    for arguments in (
        ["verify", "run"],
        ["members", "run"],
        ["admit", "run", *operator],
        ["revoke", "run", "1", *operator],
        ["cosign", "run.checkpoint", "--key", "keys/0.key", "--name", "w", "--log", "log", "--ledger", "run"],
    ):
        ends_well(arguments, (0, 1, 2))
