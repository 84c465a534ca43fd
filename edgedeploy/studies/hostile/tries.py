"""What goes wrong in a try, drawn by its number."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .commands import LINES, MODELS, Line

VALUES = (
    "", " ", "-1", "0", "1e308", "nan", "inf", "-inf", "99999999999999999999", "0x10", "1,2,,3", "é\u202e",
    "\x1b[2J\x1b]0;t\x07", "a\nb", "[red]x[/red]", "$(touch pwned)", "`touch pwned`", "; touch pwned #", "../../outside",
    "missing/file", "images", "nets/net.py", "a" * 5000, "%s%n", "-", "--", "--help", "None", "null", "1x", "1x3x0x32",
    "1x3x-1x32", "x", "🙂", "\udc80", "*",
)  # fmt: skip
SANDBOX = "<sandbox>"  # in a variable's value: the try's own folder, so that nothing outside of it is written to
ENVIRONMENTS: dict[str, dict[str, str | None]] = {
    "C locale": {"LC_ALL": "C", "PYTHONUTF8": "0"},
    "an encoding of bytes": {"PYTHONIOENCODING": "ascii"},
    "a narrow terminal": {"COLUMNS": "10"},
    "no home": {"HOME": None},  # without a cache folder either it would be the real user's
    "a home that is not there": {"HOME": f"{SANDBOX}/nowhere/home", "XDG_CACHE_HOME": None},
    "a cache that is a file": {"XDG_CACHE_HOME": "nets/net.py"},
    "a relative cache": {"XDG_CACHE_HOME": "some/cache"},
    "no search path": {"PATH": None},
    "a folder on Python's path": {"PYTHONPATH": "nets"},
    "warnings as errors": {"PYTHONWARNINGS": "error"},
    "no terminal": {"TERM": None},
    "a dumb terminal with colours": {"TERM": "dumb", "FORCE_COLOR": "1"},
}
LIMITS = {
    "files of at most 2 KB": (resource.RLIMIT_FSIZE, 2048),
    "24 open files": (resource.RLIMIT_NOFILE, 24),
    "600 MB of addresses": (resource.RLIMIT_AS, 600 * 2**20),
}
STREAMS = ("stdout full", "stdout closed", "stderr closed", "stdin closed", "a reader that leaves")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)


@dataclass
class Try:
    """A command and what is wrong with it or around it.

    Attributes:
        what: in words.
        damage: changes the folder before the command runs.
        environment: variables to set, or to leave out.
        limit: a resource and its limit.
        stream: one of STREAMS, or "".
        signal_after_s: a signal, and when it is sent.
        must_fail: an exit code of 0 would mean that something wrong was accepted.
    """

    line: Line
    arguments: tuple[str, ...]
    what: str
    damage: Callable[[Path], None] | None = None
    environment: dict[str, str | None] = field(default_factory=dict)
    limit: tuple[int, int] | None = None
    stream: str = ""
    signal_after_s: tuple[signal.Signals, float] | None = None
    must_fail: bool = False


def draw(number: int) -> Try:
    """The same try for the same number."""
    rng = random.Random(number)
    line = rng.choices(LINES, [line.weight for line in LINES])[0]
    kinds = [_damaged] * 3 * bool(line.reads) + [_bad_value] * 3 + [_surroundings] * 2 + [_signalled]
    return rng.choice(kinds)(line, rng)


def _bad_value(line: Line, rng: random.Random) -> Try:
    arguments = list(line.arguments)
    value, place = rng.choice(VALUES), rng.randrange(1, len(arguments) + 1)
    kind = rng.choice(("replaced", "inserted", "left out"))
    if kind == "replaced" and place < len(arguments):
        what = f"{arguments[place]!r} is {value[:40]!r}"
        if arguments[place] in line.writes:  # then the user names another file
            line = replace(line, writes=(*line.writes, value))
        arguments[place] = value
    elif kind == "left out" and place < len(arguments):
        what = f"{arguments.pop(place)!r} is left out"
    else:
        what = f"{value[:40]!r} is inserted"
        arguments.insert(place, value)
    return Try(line, tuple(arguments), what)


def _surroundings(line: Line, rng: random.Random) -> Try:
    match rng.choice(("environment", "environment", "limit", "stream")):
        case "environment":
            name = rng.choice(list(ENVIRONMENTS))
            return Try(line, line.arguments, name, environment=ENVIRONMENTS[name])
        case "limit":
            name = rng.choice(list(LIMITS))
            return Try(line, line.arguments, name, limit=LIMITS[name])
        case _:
            stream = rng.choice(STREAMS)
            return Try(line, line.arguments, stream, stream=stream)


def _signalled(line: Line, rng: random.Random) -> Try:
    number, after_s = rng.choice(SIGNALS), rng.uniform(0.05, 3.0)
    return Try(line, line.arguments, f"{number.name} after {after_s:.2f} s", signal_after_s=(number, after_s))


def _damaged(line: Line, rng: random.Random) -> Try:
    name, kind = rng.choice(line.reads), rng.choice(list(DAMAGES))
    seed = rng.random()

    def damage(folder: Path) -> None:
        path = folder / name
        if path.exists():
            DAMAGES[kind](path, random.Random(seed))

    other_model = line.needs_its_model and name.endswith(MODELS)
    return Try(line, line.arguments, f"{name} is {kind}", damage=damage, must_fail=other_model)


def _bytes_of(path: Path) -> bytearray:
    return bytearray(path.read_bytes()) if path.is_file() else bytearray(b"x" * 100)


def _replace(path: Path, data: bytes) -> None:
    if path.is_dir():
        path = path / "other.png"
    path.write_bytes(data)


def _cut(path: Path, rng: random.Random) -> None:
    data = _bytes_of(path)
    _replace(path, bytes(data[: rng.randrange(len(data))]))


def _flip(path: Path, rng: random.Random) -> None:
    data = _bytes_of(path)
    for _ in range(rng.randrange(1, 20)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    _replace(path, bytes(data))


def _without(path: Path) -> None:
    if path.is_dir():
        path.rename(path.with_name(f"{path.name} moved"))
    else:
        path.unlink()


def _instead(make: Callable[[Path], Any]) -> Callable[[Path, random.Random], None]:
    def damage(path: Path, _: random.Random) -> None:
        _without(path)
        make(path)

    return damage


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**36)


def _other_json(path: Path, rng: random.Random) -> None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return _flip(path, rng)
    _change(value, rng)
    return _replace(path, json.dumps(value).encode())


def _change(value: Any, rng: random.Random) -> None:
    """Replaces one value in a tree by one of another type or size."""
    while isinstance(value, dict | list) and value:
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if not isinstance(value[key], dict | list) or not value[key] or rng.random() < 0.1:
            value[key] = rng.choice(
                [None, "", -1, 1e999, 10**30, [], {}, "../../outside", "\x1b[2J", float("nan"), True]
            )
            return
        value = value[key]


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "empty": lambda path, _: _replace(path, b""),
    "cut off": _cut,
    "changed in some bits": _flip,
    "junk": lambda path, rng: _replace(path, rng.randbytes(3000)),
    "of zeros": lambda path, _: _replace(path, bytes(3000)),
    "changed in one value": _other_json,
    "gone": lambda path, _: _without(path),
    "a folder": _instead(lambda path: path.mkdir()),
    "a link to nothing": _instead(lambda path: path.symlink_to("nowhere")),
    "a link to itself": _instead(lambda path: path.symlink_to(path.name)),
    "a pipe without a writer": _instead(lambda path: os.mkfifo(path)),
    "64 GB of nothing": _instead(_sparse),
}
