"""Folders that a portfolio has made pass; what leads elsewhere or is something else is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosim.errors import ScenarioError
from cosim.portfolio.folders import check_folders


def test_what_a_portfolio_makes_passes(tmp_path: Path) -> None:
    check_folders(tmp_path / "new")
    check_folders(tmp_path)
    for name in (".work/gridsettle-1", "heads", "runs/a", "runs/b.1"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("runs/a.checkpoint", "runs/.DS_Store", "heads/a.parquet"):
        (tmp_path / name).write_text("")
    check_folders(tmp_path)


def test_a_link_that_leads_nowhere_is_one_too(tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ScenarioError, match="runs: expected a folder that a portfolio has made, got a link"):
        check_folders(tmp_path)
