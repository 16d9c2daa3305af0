"""Make the picture of docs/how-to/portfolio-report.md, with Chromium: `python tests/docs/shoot_portfolio.py`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from cosim import Scenario
from cosim.portfolio.made import generate_entries
from cosim.portfolio.portfolio import run_portfolio
from cosim.portfolio.report import write_portfolio_report

PICTURE = Path(__file__).parents[2] / "docs/how-to/images/portfolio-report.png"
N_FEEDERS = 40


def main() -> None:
    """Run two weeks of summer of drawn feeders, and take a picture of the begin of their report."""
    horizon = {"start": "2016-06-20", "hours": 336}
    scenario = Scenario.load("stressed").with_changes(horizon=horizon, limits={"min_vm_pu": 0.95, "max_vm_pu": 1.04})
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        found = run_portfolio(generate_entries(N_FEEDERS, 1, scenario), Path(folder) / "feeders", keep="worst 3")
        written = write_portfolio_report(found.directory)
        started = driver.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = started.new_page(viewport={"width": 1180, "height": 1500})
        page.goto(written.page.as_uri())
        page.screenshot(path=PICTURE)
        started.close()


if __name__ == "__main__":
    main()
