"""The entry point of the command `gridsettle`, and what surrounds every command: signals, streams, the last net.

Exit codes: 0 done; 1 the answer is no; 2 bad input, with one message and never a traceback; 70 an error that nobody
foresaw, with one message that names the file of its trace; 130 interrupted.
"""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import NoReturn

from cosim.interrupts.processes import end_children
from cosim.interrupts.stop import Stopped, stop_between_lines

UNFORESEEN, INTERRUPTED = 70, 130
RARELY = 50_000, 20, 20
"""When Python looks for garbage in a circle: what a command holds is nearly all loaded libraries, which stay."""


def main(app: Callable[[], object] | None = None) -> None:
    """Run the command that the process was started with.

    Parameters
    ----------
    app
        The application; imported if left out, so that Ctrl-C is answered while it is.
    """
    _prepare_streams()
    gc.set_threshold(*RARELY)
    with stop_between_lines(Stopped, _end_at_once):
        try:
            (app or import_module("cosim.cli.app").app)()
        except Stopped as stopped:
            _tell(str(stopped) or "stopped")
            sys.exit(INTERRUPTED)
        except Exception as error:
            _tell(describe_unforeseen(error))
            sys.exit(UNFORESEEN)
        finally:
            if app is None:  # the command is done; Ctrl-C while the interpreter ends would change its exit code
                signal.signal(signal.SIGINT, signal.SIG_IGN)


def _prepare_streams() -> None:
    # The matrices here are small: more threads of BLAS than one cost more than they bring, above all on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What a terminal's or pipe's encoding lacks, such as Δ or …, is shown as ?, and no reason to fail.
            stream.reconfigure(errors="replace")


def _tell(message: str) -> None:
    sys.stderr.write(f"gridsettle: {message}\n")


def _end_at_once() -> NoReturn:
    """End without waiting for the next line: what is on the disk is sound at every moment."""
    end_children()
    show_cursor = b"\x1b[?25h" if os.isatty(2) else b""  # a progress bar hides it
    os.write(2, show_cursor + b"gridsettle: stopped at once; a run that has begun goes on with --resume\n")
    os._exit(INTERRUPTED)


def describe_unforeseen(error: Exception) -> str:
    """One line about a defect: what it was, and the file in the temporary folder with its trace, for its reporter.

    Only the user can read the file: a trace may hold values of the input.
    """
    what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    if isinstance(error, MemoryError):
        what = "the memory was not enough; try fewer houses or intervals"
    try:
        descriptor, path = tempfile.mkstemp(prefix="gridsettle-", suffix=".txt")  # mode 0600
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(traceback.format_exception(error))
    except OSError as reason:
        path = f"nowhere ({reason.strerror})"
    return f"unforeseen error, a defect of gridsettle ({what}); its trace is in {path}: please report it with that file"


if __name__ == "__main__":
    main()
