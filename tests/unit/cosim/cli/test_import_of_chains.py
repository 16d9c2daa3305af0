"""What nobody asks for is not imported: a run without a chain knows nothing of chains."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from cosim.cli.entry import main
sys.argv = ["gridsettle", "run", "rural", "--until", "2016-01-01"]  # refused, once all options are read
try:
    main()
except SystemExit as end:
    known = [(name, type(one).__name__) for name, one in sys.modules.items() if name.startswith("market.contract.")]
    print(end.code, [name for name, kind in known if kind != "_LazyModule"])  # a lazy one is not loaded yet
"""


def test_a_run_without_a_chain_imports_nothing_of_chains(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "2 []\n", done.stdout + done.stderr
