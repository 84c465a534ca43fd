"""Runs a try in a copy of the material and says what is wrong with what happened."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edgedeploy.core.child_processes import module_command

from .material import MARK, environment_of
from .tries import SANDBOX, Try

SILENCE_S, LONGEST_S = 30.0, 300.0
BUG = 70  # the exit code for an unexpected exception
LARGEST_HASHED = 2**24
CACHES = ("cache/", "home/.cache", "work/some/cache", "nowhere")  # of all environments
OF_OTHERS = ("home/.android", "tmp/torchinductor_")  # the keys of adb's server; torch's, when it is imported


@dataclass(frozen=True)
class Ending:
    """How a command ended.

    Attributes:
        code: the exit code; negative for a signal, None where it had to be killed.
        text: what it wrote to both streams.
    """

    code: int | None
    text: str
    seconds: float


def judge(attempt: Try, material: Path, sandbox: Path) -> tuple[Ending, list[str]]:
    """The ending, and what must not be: empty where all is well.

    Args:
        material: is copied.
        sandbox: an empty folder.
    """
    folder = sandbox / "work"
    shutil.copytree(material, folder, symlinks=True)
    for name in ("home", "tmp", "cache"):
        (sandbox / name).mkdir()
    if attempt.damage is not None:
        attempt.damage(folder)
    before = _state(sandbox)
    ending = _run(attempt, folder, sandbox)
    return ending, list(faults(attempt, ending, before, _state(sandbox)))


def faults(attempt: Try, ending: Ending, before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    """What must not be, in words.

    Args:
        before, after: kind, mode and content of each file of the sandbox.
    """
    if "Traceback (most recent call last)" in ending.text:
        yield "a traceback"
    if ending.code is None:
        yield f"no progress for {SILENCE_S:.0f} s" if ending.seconds < LONGEST_S else "it did not end"
    if ending.code == BUG:
        yield "exit code 70: an exception that nothing expected"
    sent = attempt.signal_after_s[0] if attempt.signal_after_s else None
    if ending.code is not None and ending.code < 0 and -ending.code not in (sent, signal.SIGPIPE):
        yield f"it died of signal {-ending.code}"
    if ending.code == 0 and attempt.must_fail:
        yield "a model was accepted that is not the one that was exported"
    allowed = tuple(f"work/{name}" for name in attempt.line.writes)
    killed = sent is signal.SIGKILL or ending.code is None
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) == after.get(path) or path.startswith(CACHES):
            continue
        if path.startswith(OF_OTHERS) or (killed and path.startswith("tmp/")):
            continue
        if not path.startswith(allowed):
            happened = "is gone" if path not in after else "was changed" if path in before else "is new"
            yield f"{path} {happened}"
    if f"work/{MARK}" in after:
        yield "a module of the user's folder was imported"


def _state(folder: Path) -> dict[str, str]:
    """What lies below a folder: kind, mode and content of each entry, without times."""
    found = {}
    for parent, names, files in os.walk(folder):
        for name in (*names, *files):
            path = Path(parent, name)
            status = path.lstat()
            content = ""
            if path.is_symlink():
                content = str(path.readlink())
            elif path.is_file() and status.st_size < LARGEST_HASHED:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(folder))] = f"{status.st_mode:o} {content}"
    return found


def _run(attempt: Try, folder: Path, sandbox: Path) -> Ending:
    environment = environment_of(sandbox)
    for name, value in attempt.environment.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value.replace(SANDBOX, str(sandbox))
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        outputs: list[IO[bytes]] = [
            stack.enter_context((sandbox / name).open("w+b")) for name in ("stdout.txt", "stderr.txt")
        ]
        process: subprocess.Popen[bytes] = subprocess.Popen(
            module_command("edgedeploy", *attempt.arguments),
            cwd=folder,
            env=environment,
            start_new_session=True,
            preexec_fn=_limits(attempt),
            **_streams(attempt, outputs, stack),
        )
        code = _wait(process, attempt, outputs, start)
        _end_group(process)
        texts = []
        for file in outputs:
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
            Path(file.name).unlink()
    return Ending(code, "\n".join(texts), time.monotonic() - start)


def _streams(attempt: Try, outputs: list[IO[bytes]], stack: contextlib.ExitStack) -> dict[str, Any]:
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": outputs[0], "stderr": outputs[1]}
    if attempt.stream == "stdout full":
        streams["stdout"] = stack.enter_context(os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb"))
    elif attempt.stream == "a reader that leaves":
        reader, writer = os.pipe()
        os.close(reader)
        streams["stdout"] = stack.enter_context(os.fdopen(writer, "wb"))
    return streams


def _limits(attempt: Try) -> Callable[[], None]:
    """What the child does before it becomes the command."""
    closed = {"stdin closed": 0, "stdout closed": 1, "stderr closed": 2}.get(attempt.stream)

    def apply() -> None:
        if attempt.limit is not None:
            number, value = attempt.limit
            resource.setrlimit(number, (value, value))
        if closed is not None:
            os.close(closed)

    return apply


def _wait(process: subprocess.Popen[bytes], attempt: Try, outputs: list[IO[bytes]], start: float) -> int | None:
    """The exit code; None where there was no progress for too long, or no end."""
    written, last = 0, start
    due = attempt.signal_after_s
    while process.poll() is None:
        time.sleep(0.02)
        now = time.monotonic()
        if due is not None and now - start > due[1]:
            process.send_signal(due[0])
            due = None
        size = sum(os.fstat(file.fileno()).st_size for file in outputs)
        if size != written:
            written, last = size, now
        if now - last > SILENCE_S or now - start > LONGEST_S:
            return None
    return process.returncode


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends what the command left running, and the command where it still runs."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
