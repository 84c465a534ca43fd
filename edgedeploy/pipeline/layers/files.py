"""Two files of one network, the first in float: where do they part?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgedeploy.core.artifact import Artifact, to_file
from edgedeploy.core.errors import ArtifactInvalid, UsageError
from edgedeploy.core.parity import Array
from edgedeploy.core.reporter import NullReporter, Reporter
from edgedeploy.core.results.layers import LayerReport
from edgedeploy.core.spec import Preprocessing, TensorSpec

from .child import ask
from .formats import RUNTIME_OF, open_steps
from .worker import WorkerRequest


def compare_files(reference: str | Path, file: str | Path, *, reporter: Reporter | None = None) -> LayerReport:
    """Compares two files of the same network, the first one in float: .tflite, .onnx, or artifacts.

    The input is that of an artifact, where one of the two is one; else a photograph, or seeded noise for a network that
    takes no image.
    """
    reporter = reporter or NullReporter()
    files = [_path_of(path) for path in (reference, file)]
    runtimes = [_runtime_of(path) for path in files]
    shapes = [open_steps(runtime, path, ()).input_shapes for runtime, path in zip(runtimes, files, strict=True)]
    if len(shapes[0]) != len(shapes[1]):
        raise UsageError(f"{files[0]} takes {len(shapes[0])} inputs and {files[1]} takes {len(shapes[1])}")
    moved = tuple(a != b and len(a) == 4 and (a[0], a[2], a[3], a[1]) == b for a, b in zip(*shapes, strict=True))
    for a, b, other in zip(*shapes, moved, strict=True):
        if a != b and not other:
            raise UsageError(
                f"{files[0]} takes an input of {'x'.join(map(str, a))} and {files[1]} one of {'x'.join(map(str, b))}",
                hint="two files of one network and one size; with images in two layouts, the one in NCHW first",
            )
    sample, note = _sample((reference, file), shapes[0])
    modules = _modules(Path(file))
    request = WorkerRequest(
        runtimes[1], str(files[1].absolute()), modules, moved, (runtimes[0], str(files[0].absolute()))
    )
    with reporter.stage(f"run {files[0].name} and {files[1].name} operator by operator"):
        answer, _ = ask(request, sample)
    return LayerReport(
        str(file), str(reference), runtimes[1], answer.layers, answer.without_counterpart, answer.not_trusted, note=note
    )


def _path_of(path: str | Path) -> Path:
    """The file that runs: of an artifact's folder, or the file itself."""
    given = Path(path)
    if given.is_dir():
        return Artifact.load(given).path
    if not given.is_file():
        raise UsageError(f"{given} is no file", hint="a .tflite or .onnx file, or an artifact's folder")
    return given


def _modules(path: Path) -> tuple[tuple[str, str], ...]:
    """The names and modules of an artifact's operators; empty for a file alone."""
    return tuple((fact.name, fact.module) for fact in Artifact.load(path).operators()) if path.is_dir() else ()


def _runtime_of(path: Path) -> str:
    runtime = RUNTIME_OF.get(path.suffix)
    if runtime is None:
        raise UsageError(
            f"{path} cannot be run operator by operator",
            details=["LiteRT (.tflite) and ONNX Runtime (.onnx) can do that; ExecuTorch runs a delegate as a whole"],
        )
    return runtime


def _sample(files: Sequence[str | Path], shapes: Sequence[tuple[int, ...]]) -> tuple[list[Array], str]:
    """One input for the float file, and what it is."""
    for path in files:
        try:
            loaded = Artifact.load(Path(path))
            golden = loaded.golden()
        except ArtifactInvalid:
            continue
        if golden is not None:
            specs = [TensorSpec(spec.name, spec.shape, layout=spec.layout) for spec in loaded.manifest.inputs]
            stored = [to_file(array, spec) for array, spec in zip(golden.inputs[0], specs, strict=True)]
            if [array.shape for array in stored] == list(shapes):
                return stored, f"on the stored input of {loaded}"
    if len(shapes) == 1 and len(shapes[0]) == 4 and 3 in (shapes[0][1], shapes[0][3]):
        from edgedeploy.data.photographs import held_out_images

        last = shapes[0][3] == 3
        size = (shapes[0][1], shapes[0][2]) if last else (shapes[0][2], shapes[0][3])
        image = held_out_images(size, Preprocessing(), 1)[0]
        return [np.moveaxis(image, 1, -1) if last else image], "on a photograph, with ImageNet's mean and deviation"
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape, dtype=np.float32) for shape in shapes], "on seeded noise"
