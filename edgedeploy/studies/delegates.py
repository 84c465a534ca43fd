"""What `explain` predicts, held against what the runtimes report after they have loaded a file.

    python -m edgedeploy.studies.delegates [FOLDER ...]        all artifacts below these folders, ./artifacts by default

- **LiteRT**: which operators a delegate took, and how many partitions there are (operators.json, written at the export from
  the loaded interpreter).
- **ONNX Runtime**: which operators are left in float in the graph that it has optimized for the kind of CPU that the
  artifact was made for: here, or on an emulated Arm phone.
- **ExecuTorch**: partitions are in the file; here no operator that the rules know to be taken without a condition may be
  outside, and none that they do not know inside.

Prints one row for each artifact; exit code 1 where a prediction is wrong.
"""

from __future__ import annotations

import platform
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.core.artifact import Artifact, find_artifacts
from edgedeploy.core.errors import ArtifactInvalid
from edgedeploy.core.recipes import FP32, STATIC_UINT8_ACTIVATIONS
from edgedeploy.pipeline.explain import executorch_rules, explain_file, onnx_rules


@dataclass(frozen=True)
class Agreement:
    """One artifact.

    Attributes:
        wrong: names, or types, of the operators whose prediction was wrong.
        partitions: predicted and real; None for a runtime without a delegate.
    """

    artifact: str
    operators: int
    wrong: tuple[str, ...]
    partitions: tuple[int, int] | None = None

    @property
    def differences(self) -> tuple[str, ...]:
        """What was predicted wrongly: operators, and the number of partitions."""
        if self.partitions is None or self.partitions[0] == self.partitions[1]:
            return self.wrong
        return (*self.wrong, f"{self.partitions[0]} partitions instead of {self.partitions[1]}")


def agreement(artifact: Artifact) -> Agreement | None:
    """Compares prediction and runtime; None for an artifact about which this machine's runtime says nothing."""
    manifest, facts = artifact.manifest, artifact.operators()
    if not facts:
        return None
    if manifest.runtime == "executorch":
        return Agreement(str(artifact), len(facts), tuple(_against_the_rules(artifact)))
    found = explain_file(artifact.path, manifest.runtime, facts, str(artifact))
    refused = {row.name for row in found.refused}
    if manifest.runtime == "litert":
        outside = {fact.name for fact in facts if not fact.delegated}
        graph = manifest.provenance.graph
        real = (graph.delegates or 0) if graph is not None else 0
        return Agreement(str(artifact), len(facts), tuple(refused ^ outside), (len(found.partitions), real))
    recipe = manifest.provenance.recipe.name
    if recipe == FP32.name:
        return None
    here = platform.machine() in ("aarch64", "arm64") or recipe == STATIC_UINT8_ACTIVATIONS.name
    real_types = left_in_float(artifact.path) if here else left_in_float_on_arm(artifact)
    predicted = Counter(row.type for row in found.refused)
    wrong = (predicted - real_types) + (real_types - predicted)
    return Agreement(str(artifact), found.operators, tuple(wrong.elements()))


def left_in_float(path: Path) -> Counter[str]:
    """How many operators of each type ONNX Runtime computes in float after its optimizations; without moves of data."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory(prefix="edgedeploy-") as folder:
        optimized = Path(folder) / "optimized.onnx"
        options.optimized_model_filepath = str(optimized)
        onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        nodes = onnx.load(str(optimized)).graph.node
    return _float_types(path, ((node.name, node.op_type) for node in nodes))


def left_in_float_on_arm(artifact: Artifact) -> Counter[str]:
    """The same of the operators that run on an emulated Arm phone, from their profile there."""
    from edgedeploy.pipeline.bench import bench

    (row,) = bench([artifact], device="qemu", profile=True)
    assert row.instruction_profile is not None, "an emulated CPU was asked for the profile"
    return _float_types(artifact.path, ((op.name, op.type) for op in row.instruction_profile.operators))


def _float_types(path: Path, operators: Iterable[tuple[str, str]]) -> Counter[str]:
    import onnx

    in_file = {node.name for node in onnx.load(str(path), load_external_data=False).graph.node}
    other = {
        *onnx_rules.MOVES,
        *onnx_rules.FUSED,
        onnx_rules.QUANTIZE,
        onnx_rules.DEQUANTIZE,
        "QGemm",
        "DynamicQuantizeMatMul",
    }
    # a hard swish is divided by then into two operators that the file does not have
    types = [type if name in in_file else {"HardSigmoid": "HardSwish"}.get(type, "QLinear") for name, type in operators]
    return Counter(
        type for type in types if type not in other and not type.startswith("QLinear") and "Integer" not in type
    )


def _against_the_rules(artifact: Artifact) -> Iterator[str]:
    for fact in artifact.operators():
        name = executorch_rules.base_name(fact.type)
        known = name in executorch_rules.TAKEN
        if fact.delegated and not known:
            yield fact.name
        if not fact.delegated and known and name not in executorch_rules.CONDITIONS and fact.dtype == "float32":
            yield fact.name


def main(folders: Sequence[str]) -> int:
    """Prints a row for each artifact below the folders."""
    rows = []
    for folder in folders or ["artifacts"]:
        for path in find_artifacts(Path(folder)):
            try:
                row = agreement(Artifact.load(path))
            except ArtifactInvalid as error:
                print(f"{path}: {error.message}", file=sys.stderr)
                continue
            if row is not None:
                rows.append(row)
                partitions = (
                    "" if row.partitions is None else f", partitions {row.partitions[0]} of {row.partitions[1]}"
                )
                print(f"{row.artifact}: {row.operators - len(row.wrong)} of {row.operators} operators{partitions}")
    good = sum(not row.differences for row in rows)
    print(f"{good} of {len(rows)} artifacts, {sum(row.operators for row in rows)} operators")
    return 0 if rows and good == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
