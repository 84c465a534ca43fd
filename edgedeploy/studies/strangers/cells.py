"""Which cells there are, and what became of each: an artifact with its parity, or a message."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path

from edgedeploy.core.artifact import MANIFEST, Manifest
from edgedeploy.core.child_processes import child_environment, module_command
from edgedeploy.core.parity import worst
from edgedeploy.core.storage.json_records import RecordInvalid, decode
from edgedeploy.studies.results import EXPORTING, PACKAGE, UNKNOWN, Origin, RecordFile, code_key

from . import libraries, networks

TARGETS = ("onnx-fp32", "executorch-fp32", "tflite-fp32", "onnx-int8", "executorch-int8", "tflite-int8")
LIMIT_S = 7200  # of a network; it takes minutes, on a machine that others use too an hour
CODE = (*EXPORTING, "exporters/*.py", "exporters/*/*.py", "studies/strangers/networks.py")


@dataclass(frozen=True)
class Stranger:
    """A network that is exported.

    Attributes:
        model: as `edgedeploy export` takes it.
        size: of the input, HxW; "" for its own.
        refused: it must be refused, with a message that names the line.
    """

    model: str
    size: str = ""
    refused: bool = False

    @property
    def name(self) -> str:
        """As a row of the page calls it."""
        short = f"own:{self.model.rpartition(':')[2]}" if ".py:" in self.model else self.model
        return f"{short} at {self.size}" if self.size else short


@dataclass(frozen=True)
class Fate:
    """What became of a cell.

    Attributes:
        code: a hash of the code that made it.
        seconds: of the network's export, for all its targets together.
        error: the message; "" where there is an artifact.
        relative_error, sqnr_db: of the worst output; None where there is no artifact, or the outputs are equal.
        missed: the parity misses the target's threshold.
        note: which operator its error is from, where the export looked for it.
        commit, machine: for the page.
    """

    code: str
    seconds: float
    error: str = ""
    relative_error: float | None = None
    sqnr_db: float | None = None
    missed: bool = False
    note: str = ""
    commit: str = ""
    machine: str = ""


@dataclass(frozen=True)
class _Answer:
    artifacts: dict[str, str]
    errors: dict[str, str]
    notes: dict[str, str] = field(default_factory=dict)


def strangers() -> Iterator[Stranger]:
    """All networks, the study's own first."""
    file = Path(networks.__file__)
    for factory in networks.EXPORTED:
        yield Stranger(f"{file}:{factory.__name__}")
    for factory in networks.REFUSED:
        yield Stranger(f"{file}:{factory.__name__}", refused=True)
    for text in libraries.NETWORKS:
        model, _, size = text.partition(" ")
        yield Stranger(model, size)


Export = Callable[[Stranger, Sequence[str]], dict[str, Fate]]


def fill(
    wanted: Iterable[Stranger],
    export: Export,
    results: RecordFile[Fate],
    code: str,
    on_network: Callable[[Stranger, dict[str, Fate], bool], None] = lambda *_: None,
) -> None:
    """Exports the networks to the targets that this code has not tried yet."""
    for stranger in wanted:
        known = results.read()
        due = [t for t in TARGETS if (fate := known.get(f"{stranger.name}/{t}")) is None or fate.code != code]
        made = export(stranger, due) if due else {}
        for target, fate in made.items():
            results.add(f"{stranger.name}/{target}", fate)
        on_network(stranger, {t: made.get(t) or known[f"{stranger.name}/{t}"] for t in TARGETS}, bool(due))


def current_code() -> str:
    """The hash of the code that decides a cell."""
    return code_key(PACKAGE, CODE)


def exporter(output: Path, packages: Path | None, code: str, origin: Origin = UNKNOWN) -> Export:
    """Exports in processes of their own, into folders below `output`."""

    def export(stranger: Stranger, targets: Sequence[str]) -> dict[str, Fate]:
        start = time.monotonic()
        answer = _run(stranger, targets, output, packages)
        seconds = round(time.monotonic() - start, 1)
        made = {}
        for target in targets:
            error = answer.errors.get(target, "").replace(f"{output}/", "").replace(f"{packages}/", "")
            note = answer.notes.get(target, "")
            fate = Fate(code, seconds, error, note=note, commit=origin.commit, machine=origin.machine)
            made[target] = fate if error else _with_figures(fate, Path(answer.artifacts[target]))
        return made

    return export


def _run(stranger: Stranger, targets: Sequence[str], output: Path, packages: Path | None) -> _Answer:
    """One process for all targets; where that crashes, one for each."""
    command = module_command(
        "edgedeploy.studies.strangers.worker", stranger.model, str(output), stranger.size, str(packages or ""), *targets
    )
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=child_environment(), stdin=subprocess.DEVNULL, timeout=LIMIT_S,
            check=False,
        )  # fmt: skip
        return decode(done.stdout.splitlines()[-1].encode(), _Answer)
    except subprocess.TimeoutExpired:
        return _Answer({}, dict.fromkeys(targets, f"not done after {LIMIT_S} s"))
    except (IndexError, RecordInvalid):
        if len(targets) > 1:
            alone = [_run(stranger, [target], output, packages) for target in targets]
            return _Answer(*(dict(item for one in alone for item in part(one).items()) for part in _PARTS))
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:] or ["no message"]
        return _Answer({}, dict.fromkeys(targets, f"exit code {done.returncode}: {last[0]}"))


_PARTS = attrgetter("artifacts"), attrgetter("errors"), attrgetter("notes")


def _with_figures(fate: Fate, folder: Path) -> Fate:
    manifest = Manifest.from_json((folder / MANIFEST).read_bytes())
    parity = worst(manifest.parity)
    assert parity is not None, "a network has outputs"
    missed = bool(manifest.threshold.misses([parity]))
    return replace(fate, relative_error=parity.relative_error, sqnr_db=parity.sqnr_db, missed=missed)
