"""PDF of a report, printed by a headless Chromium if one is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from cosim.errors import ScenarioError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--no-pdf-header-footer", "--window-size=1080,1400", "--virtual-time-budget=20000"),
)
SECONDS = 120


def find_browser() -> str:
    """Path of a Chromium.

    Raises
    ------
    cosim.errors.ScenarioError
        If there is none on the PATH.
    """
    if found := next(filter(None, map(shutil.which, BROWSERS)), None):
        return found
    raise ScenarioError(
        f"--pdf: expected a Chromium on the PATH ({', '.join(BROWSERS)}), found none; install one, or open the HTML "
        "report in any browser and print it"
    )


def print_pdf(page: Path, pdf: Path, browser: str | None = None) -> Path:
    """Print an HTML file; the PDF appears whole or not at all.

    Parameters
    ----------
    page, pdf
        HTML file to read and PDF file to write.
    browser
        Chromium to use; found on the PATH if left out.

    Raises
    ------
    cosim.errors.ScenarioError
        If there is no Chromium, or it writes no PDF.
    """
    browser = browser or find_browser()
    partial = pdf.with_name(f".{pdf.name}.partial")
    partial.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="gridsettle-chromium-") as profile:
        command = [
            *(browser, *FLAGS, f"--user-data-dir={profile}"),
            *(f"--print-to-pdf={partial.resolve()}", page.resolve().as_uri()),
        ]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
            said = ended.stderr.strip().splitlines()[-1:] or [f"exit code {ended.returncode}"]
        except (OSError, subprocess.TimeoutExpired) as reason:
            said = [str(reason)]
    if not partial.exists():
        raise ScenarioError(f"{pdf}: expected {browser} to print it, got: {said[0]}; print {page} by hand")
    os.replace(partial, pdf)
    return pdf
