"""Make the screenshots of docs/how-to/serve.md: `python tests/docs/shoot_market.py`, with Chromium at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
STORY = "tests/browser/test_market_browser.py"
SHOWN = {"welcome-desktop-light.png": "serve-welcome.png", "main-phone-light.png": "serve-house.png"}
"""What the browser's story writes, and what the page shows of it."""


def main() -> None:
    """Run the story, and copy its pictures."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "slow", STORY]
        subprocess.run(words, cwd=ROOT, env={**os.environ, "SCREENSHOTS": folder}, check=True)
        for made, shown in SHOWN.items():
            shutil.copyfile(Path(folder) / made, ROOT / "docs/how-to/images" / shown)


if __name__ == "__main__":
    main()
