"""An exception that nobody expected: a log file, and the lines of a bug report."""

from __future__ import annotations

import contextlib
import datetime
import os
import sys
import tempfile
import traceback
from pathlib import Path

from edgedeploy.core.errors import visible
from edgedeploy.core.storage.cache import cache_folder
from edgedeploy.core.versions import EDGEDEPLOY_VERSION, versions

EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h


def report_bug(error: BaseException, *, debug: bool) -> None:
    """Writes the traceback, the command and the versions to a log file, and to stderr where that is and what to do."""
    trace = "".join(traceback.format_exception(error))
    if debug:
        print(trace, file=sys.stderr, end="")
    found = ", ".join(f"{name} {version}" for name, version in versions().items())
    log = _write(f"edgedeploy {EDGEDEPLOY_VERSION}\ncommand: {sys.argv}\nversions: {found}\n\n{trace}")
    text = visible(str(error).strip().partition("\n")[0])[:300]
    print(f"error: {type(error).__name__}: {text}", file=sys.stderr)
    print(f"  this is a bug of edgedeploy {EDGEDEPLOY_VERSION}, not of what you did; please report it", file=sys.stderr)
    print(f"  log: {log}" if log else "  --debug shows the traceback", file=sys.stderr)


def _write(text: str) -> Path | None:
    """The log file, which only this user can read; None where none can be written."""
    name = f"bug-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}-{os.getpid()}.log"
    for folder in (cache_folder("logs"), Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / name
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", errors="replace") as file:
                file.write(text)
            return path
    return None
