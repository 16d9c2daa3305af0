"""Libraries that read files of others, in a second process with a deadline, in an empty folder of its own.

What reads or solves there is `cosim.nets.importing.reading`. It is given bytes and may write no file.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cosim.nets.importing import reading
from grid_models.errors import GridError

DEADLINE_S = 60
MOST_WORDS = 300
"""Letters of what a library says against a file."""


def ask_limited(task: str, given: bytes, where: str, what: str, deadline_s: int = DEADLINE_S) -> Any:
    """Answer of a task of `reading.TASKS`.

    Parameters
    ----------
    task
        Its name.
    given
        Content of the file.
    where, what
        Begin of messages, and what was expected.

    Raises
    ------
    GridError
        If the library is not installed, refuses the file, or does not end within the limits of time and memory.
    """
    module, extra = reading.NEEDED[task]
    if importlib.util.find_spec(module) is None:
        raise GridError(f"{where}: expected the package {module}, found none; pip install '{extra}'")
    command = [sys.executable, "-P", str(Path(reading.__file__).resolve()), task, str(deadline_s)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                command,
                input=given,
                capture_output=True,
                cwd=folder,
                env=environment,
                timeout=deadline_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GridError(
                f"{where}: expected {what} that is read in {deadline_s} s, got none; make it smaller"
            ) from None
    if done.returncode or not done.stdout:
        raise GridError(
            f"{where}: expected {what}, got an end of the process that reads it (exit code {done.returncode}); it asks "
            f"for more than {reading.MOST_BYTES // 2**20:,} MiB of memory, or is damaged"
        )
    answer = json.loads(done.stdout)
    if "refused" in answer:
        said = answer["refused"][:MOST_WORDS]
        raise GridError(f"{where}: expected {what}, got '{said}'; mend it where it was written")
    return answer
