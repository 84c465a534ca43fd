"""The command line: the list of commands, and how errors become exit codes."""

from __future__ import annotations

import io
import os
import shutil
import sys
import traceback
import warnings
from dataclasses import dataclass
from typing import Annotated

import typer

from edgedeploy.core.child_processes import search_current_folder_last
from edgedeploy.core.errors import EdgedeployError, OutputFailed
from edgedeploy.core.storage.files import NO_SPACE, explain_os_error
from edgedeploy.core.versions import EDGEDEPLOY_VERSION

from .bug_report import EXIT_BUG, report_bug
from .commands import artifacts, bench, devices, evaluate, explain, history, verdicts, zoo
from .interrupts import Stopped, end_at_once, handle_signals

OUT_OF_MEMORY = ("std::bad_alloc", "failed to map segment", "annot allocate memory", "an't allocate memory")
LONGEST_LINE = 2000  # of an error: what a user's code or a tool says may be of any length
HELP = """Ship vision networks on Arm CPUs: rewrite, lower, verify and measure them.

Results go to stdout, progress and warnings to stderr. Exit codes: 0 success, 1 a regression or a failed parity, 2 wrong
usage, 3 a device or a tool failed, 4 the measurement is not trustworthy, 70 a bug of edgedeploy.
"""

app = typer.Typer(
    name="edgedeploy",
    help=HELP,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for subject in (zoo, artifacts, evaluate, explain, bench, verdicts, history, devices):
    app.add_typer(subject.commands)


@dataclass
class Settings:
    """What the options before the command's name set; the context object of every command."""

    debug: bool = False


def _version(show: bool) -> None:
    if show:
        print(f"edgedeploy {EDGEDEPLOY_VERSION}")
        raise typer.Exit


@app.callback()
def main_options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of every error, and the warnings of other packages.")
    ] = False,
) -> None:
    context.ensure_object(Settings).debug = debug
    if not debug:
        warnings.simplefilter("ignore")  # of the converters and torch, about themselves


def main() -> None:
    """Runs the command in sys.argv. Errors that a user can cause are printed in a few lines, without a traceback."""
    open_closed_streams()
    try:
        search_current_folder_last()
    except FileNotFoundError:
        print("error: the current folder was removed\n  try: cd to one that exists", file=sys.stderr)
        sys.exit(2)
    for stream in (sys.stdout, sys.stderr):  # a terminal without σ shows a ? for it
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    buffer_stdout()
    handle_signals()
    settings = Settings()
    try:
        try:
            app(obj=settings)
        finally:
            sys.stdout.flush()  # here a full disk still has an error message
    except EdgedeployError as error:
        _fail(error, error, settings)
    except Stopped as stopped:
        sys.stdout.flush()  # the rows that were measured
        end_at_once(stopped.number)
    except BrokenPipeError:
        _discard_stdout()
        sys.exit(0)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # a user's network may raise what is no Exception
        if _tells_of_memory(error):
            hint = "end other programs, or take a smaller input size or fewer --jobs"
            _fail(
                error, OutputFailed("this machine, or a limit of the shell, has too little memory", hint=hint), settings
            )
        if isinstance(error, OSError) and (error.filename is not None or error.errno in NO_SPACE):
            _discard_stdout()
            _fail(error, explain_os_error(error), settings)
        report_bug(error, debug=settings.debug)
        sys.exit(EXIT_BUG)


def _tells_of_memory(error: BaseException) -> bool:
    """Whether an error is one of too little memory; libraries in C++ and the loader of libraries have no type for it."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)


def _discard_stdout() -> None:
    """What is still in the buffer of a pipe that is closed, or of a disk that is full, would fail again at the end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_closed_streams() -> None:
    """Replaces a closed stdin, stdout or stderr by nothing, so that no file of ours gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def buffer_stdout() -> None:
    """Gives stdout a buffer where PYTHONUNBUFFERED took it.

    Python takes a short write to a stream without a buffer for a whole one: what a full disk cut off would be no error.
    """
    stream = sys.stdout
    if isinstance(stream, io.TextIOWrapper) and isinstance(stream.buffer, io.RawIOBase):
        encoding, errors = stream.encoding, stream.errors
        buffer = io.BufferedWriter(stream.detach())
        sys.stdout = sys.__stdout__ = io.TextIOWrapper(buffer, encoding, errors, line_buffering=True)  # type: ignore[misc]


def _fail(error: BaseException, explained: EdgedeployError, settings: Settings) -> None:
    if settings.debug:
        traceback.print_exception(error)
    shortened = (
        f"{line[:LONGEST_LINE]} ..." if len(line) > LONGEST_LINE else line for line in str(explained).split("\n")
    )
    text = "\n".join(["error: " + next(shortened), *shortened])
    if sys.stderr.isatty():
        from edgedeploy.cli.tables.fit import wrapped

        text = wrapped(text, shutil.get_terminal_size().columns)
    print(text, file=sys.stderr)
    sys.exit(explained.exit_code)


if __name__ == "__main__":
    main()
