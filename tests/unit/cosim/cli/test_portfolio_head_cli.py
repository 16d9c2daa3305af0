"""`gridsettle ledger verify --portfolio` as its users meet it: one feeder's ledger against the heads of all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from ledger_world import world, written
from typer.testing import CliRunner

from cosim.cli.app import app
from cosim.portfolio.heads import make_demonstration_portfolio_key, sign_heads, write_heads
from market.ledger.check.heads import prove_head, read_heads
from market.ledger.check.verify import verify_ledger
from market.ledger.crypto.keys import write_key_pair
from market.ledger.format.header import make_demonstration_key
from market.ledger.format.heads import FeederHead
from market.ledger.format.note import sign_note

pytestmark = pytest.mark.slow

MADE = world(3, 4, seed=6)
OWN, OTHER = make_demonstration_portfolio_key(), make_demonstration_key(7)


def verify(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["ledger", "verify", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("portfolio") / "all"
    written(folder / "runs" / "north 7", MADE, 4)
    report = verify_ledger(folder / "runs" / "north 7")
    heads = [
        FeederHead("north 7", report.head, report.n_blocks),
        FeederHead("alpha", b"\1" * 32, 5),
        FeederHead("broken", None, 0),
    ]
    write_heads(folder, sign_heads(heads, b"d" * 32))
    return folder


@pytest.fixture
def here(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A portfolio `all` with the ledger of `north 7`, and keys in the current directory."""
    shutil.copytree(sound, tmp_path / "all")
    monkeypatch.chdir(tmp_path)
    write_key_pair(Path("own.key"), OWN)
    write_key_pair(Path("other.key"), OTHER)
    return tmp_path


RUN = ("all/runs/north 7", "--portfolio", "all")


def edit(name: str, old: str, new: str) -> None:
    path = Path("all") / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_ledger_is_the_feeders(here: Path) -> None:
    code, said = verify(*RUN)
    assert code == 0, said
    assert "this is the head of feeder 'north 7', number 3 of 3 in gridsettle-portfolio/" in said
    assert "pin one with --portfolio-key" in said
    code, said = verify(*RUN, "--portfolio-key", "own.pub")
    assert code == 0
    assert "--portfolio-key" not in said
    code, said = verify(*RUN, "--portfolio-key", "all/heads.vkey", "--json")
    assert json.loads(said)["portfolio"]["n_feeders"] == 3


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (("--portfolio-key", "other.pub"), "expected a signature"),
        (("--feeder", "alpha"), "has head 0101"),
        (("--feeder", "broken"), "says that feeder 'broken' failed"),
        (("--feeder", "south"), "no feeder 'south' among 3; its head stands there under 'north 7'"),
    ],
)
def test_another_key_or_name_is_no(here: Path, extra: tuple[str, ...], message: str) -> None:
    code, said = verify(*RUN, *extra)
    assert code == 1
    assert "NOT IN THE PORTFOLIO" in said
    assert message in said


def test_lines_and_notes_that_were_changed_are_no(here: Path) -> None:
    edit("heads.txt", "0101", "0102")
    assert verify(*RUN) == (1, verify(*RUN)[1])
    assert "not those that were signed" in verify(*RUN)[1]
    edit("heads.txt", "failed 0 broken\n", "")
    assert "is over 3 feeders, the file of heads has 2" in verify(*RUN)[1]
    edit("heads.checkpoint", "\n3\n", "\n2\n")
    assert "one that is not valid" in verify(*RUN)[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("heads.txt", "north 7\n", "north 7"), "cut off"),
        (("heads.txt", "broken", "alpha"), "every name once"),
        (("heads.txt", "alpha", "zeta"), "sorted by name"),
        (("heads.txt", " 5 ", " 05 "), "expected a line"),
        (("heads.vkey", "+", "-"), "verifier key"),
        (("heads.checkpoint", "\n\n", "\n"), "expected a signature line"),
    ],
)
def test_files_that_are_none_are_refused(here: Path, change: tuple[str, str, str], message: str) -> None:
    edit(*change)
    code, said = verify(*RUN)
    assert code == 2
    assert message in said
    assert f"all/{change[0]}" in said


def test_a_planted_tree_is_found_by_the_pinned_key(here: Path) -> None:
    heads = [FeederHead("north 7", b"\2" * 32, 5), FeederHead("south", None, 0)]
    write_heads(Path("all"), sign_heads(heads, b"d" * 32, OTHER))
    assert "has head 0202" in verify(*RUN)[1]
    own = read_heads(Path("all")).heads[0]
    report = verify_ledger("all/runs/north 7")
    planted = own._replace(head=report.head, n_blocks=report.n_blocks)
    write_heads(Path("all"), sign_heads([planted], b"d" * 32, OTHER))
    assert verify(*RUN)[0] == 0  # with the key that lies beside it
    code, said = verify(*RUN, "--portfolio-key", "own.pub")
    assert code == 1
    assert "found none" in said


def test_a_note_of_a_ledger_is_none_of_a_portfolio(here: Path) -> None:
    note = Path("all/heads.checkpoint").read_text(encoding="utf-8")
    _, size, root = note.split("\n")[:3]
    Path("all/heads.checkpoint").write_text(
        sign_note(f"gridsettle/0\n{size}\n{root}\n", "gridsettle/0", OWN), encoding="utf-8"
    )
    code, said = verify(*RUN, "--portfolio-key", "own.pub")
    assert code == 1
    assert "not of a portfolio" in said


def test_a_proof_alone_is_enough_with_a_key(here: Path) -> None:
    proof = prove_head(read_heads(Path("all")), "north 7")
    other = prove_head(read_heads(Path("all")), "alpha")
    assert proof is not None
    assert other is not None
    Path("proof.json").write_text(proof.text(), encoding="utf-8")
    Path("other.json").write_text(other.text(), encoding="utf-8")
    Path("moved.json").write_text(proof._replace(place=1).text(), encoding="utf-8")
    ledger = ("all/runs/north 7", "--portfolio")
    assert verify(*ledger, "proof.json")[0] == 2
    assert "expected a key" in verify(*ledger, "proof.json")[1]
    assert verify(*ledger, "proof.json", "--portfolio-key", "all/heads.vkey")[0] == 0
    assert verify(*ledger, "proof.json", "--portfolio-key", "own.pub")[0] == 0
    code, said = verify(*ledger, "other.json", "--portfolio-key", "own.pub")
    assert (code, "of feeder 'alpha', not of 'north 7'" in said) == (1, True)
    code, said = verify(*ledger, "moved.json", "--portfolio-key", "own.pub")
    assert (code, "not in the tree" in said) == (1, True)
    code, said = verify(*ledger, "own.pub", "--portfolio-key", "own.pub")
    assert (code, "proof: expected" in said) == (2, True)


def test_options_that_need_others(here: Path) -> None:
    assert "add --portfolio" in verify("all/runs/north 7", "--feeder", "alpha")[1]
    assert "add --portfolio" in verify("all/runs/north 7", "--portfolio-key", "own.pub")[1]
    code, said = verify(*RUN, "--to", "2")
    assert (code, "--portfolio: expected all blocks" in said) == (2, True)


def test_a_broken_ledger_is_told_before_the_portfolio(here: Path) -> None:
    assert verify("all", "--portfolio", "all")[0] == 2
