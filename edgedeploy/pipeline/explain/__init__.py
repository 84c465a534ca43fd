"""explain: what the runtime takes of an artifact into its delegate, and why not the rest. Nothing is run.

litert.py            a .tflite file, by the rules of litert_rules.py
executorch_rules.py  an ExecuTorch artifact, whose partitions are in the file
onnx_rules.py        an ONNX model: which operators have integer kernels
advice.py            what mends an operator that stays outside
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgedeploy.core.artifact import MANIFEST, Artifact
from edgedeploy.core.backends import BY_RUNTIME
from edgedeploy.core.errors import EdgedeployError, UsageError
from edgedeploy.core.provenance import OperatorFact
from edgedeploy.core.reporter import NullReporter, Reporter
from edgedeploy.core.results.explanation import Explanation, Partition, Refusal, RefusedOperator
from edgedeploy.core.storage.cache import cache_folder

from . import executorch_rules, litert_rules, onnx_rules
from .advice import advice_for

__all__ = ["Explanation", "explain", "explain_file"]

BYTES_PER_INSTRUCTION = 16  # one load or store of a vector register
FILES = (".tflite", ".onnx")
NUM_CALIB = 8  # images for a network that is exported only to be explained


@dataclass(frozen=True)
class _Row:
    """An operator: where it is, or why it is outside."""

    name: str
    type: str
    module: str
    bound: int | None
    partition: int | None = None
    refusal: Refusal | None = None


def explain(
    model: str,
    target: str | None = None,
    *,
    inputs: Sequence[str] = (),
    input_size: tuple[int, int] | None = None,
    reporter: Reporter | None = None,
) -> Explanation:
    """Explains an artifact's folder, a .tflite or .onnx file, or a network, which is exported into the cache first.

    Args:
        model: the artifact or file; else a network as `export` takes it, which needs a target.
        inputs, input_size: of a network, as `export` takes them.

    Raises UsageError, ArtifactInvalid, and what `export` raises.
    """
    reporter = reporter or NullReporter()
    path = Path(model)
    if (path / MANIFEST).is_file() or ((path.parent / MANIFEST).is_file() and path.is_file()):
        artifact = Artifact.load(path)
        if target is not None and target != artifact.manifest.target:
            raise UsageError(f"{model} is of the target {artifact.manifest.target}, not {target}")
        return explain_file(artifact.path, artifact.manifest.runtime, artifact.operators(), str(artifact))
    if path.suffix in FILES and path.is_file():
        return explain_file(path, "litert" if path.suffix == ".tflite" else "onnxruntime", (), model)
    if target is None:
        raise UsageError(f"{model} is no artifact, and a network needs a target", hint="--target tflite-int8")
    from edgedeploy.pipeline.export import ExportKeywords, export, parse_targets

    folder = cache_folder("explain")
    if len(parse_targets(target)) != 1:
        raise UsageError("explain takes one target")
    reporter.note(
        f"{model} is exported into {folder} first; weights do not matter, so they are random where none are given"
    )
    options = ExportKeywords(
        inputs=inputs, input_size=input_size, allow_low_parity=True, num_calib=NUM_CALIB, output=folder
    )
    (made,) = export(model, target, reporter=reporter, **options)
    return explain_file(made.path, made.manifest.runtime, made.operators(), str(made))


def explain_file(path: Path, runtime: str, operators: Sequence[OperatorFact], name: str) -> Explanation:
    """Explains a file. `operators` as its exporter listed them; empty for a file of other origin."""
    operators = [replace(fact, module=fact.module or "the top level") for fact in operators]
    reader = {"litert": _litert, "executorch": _executorch, "onnxruntime": _onnx}[runtime]
    try:
        rows, rules, inside, note = reader(path, operators)
    except (EdgedeployError, OSError, ImportError):
        raise
    except Exception as error:  # a damaged file: the parsers raise many kinds
        raise UsageError(f"{path} cannot be read as a {path.suffix} file", details=[str(error)[:200]]) from error
    if not rows:
        raise UsageError(f"{path} has no operators")
    return Explanation(
        name,
        BY_RUNTIME[runtime].title,
        rules,
        inside,
        len(rows),
        _partitions(rows),
        tuple(_refused(rows)),
        note,
    )


_Found = tuple[list[_Row], str, str, str]


def _litert(path: Path, operators: Sequence[OperatorFact]) -> _Found:
    from edgedeploy.exporters.tflite_file import module_of_tensor

    from .litert import divided

    found = divided(path.read_bytes())
    modules = [fact.module for fact in operators] or [module_of_tensor(name) for name in found.names]
    rows = []
    for index, (type, name) in enumerate(zip(found.types, found.names, strict=True)):
        arithmetic = found.arithmetic[index]
        bound = _bound(arithmetic.macs, arithmetic.int8, arithmetic.depthwise, found.bytes_moved[index])
        rows.append(_Row(name, type, modules[index], bound, found.partitions[index], found.refusals.get(index)))
    return rows, litert_rules.RULES_FROM, "in the XNNPACK delegate", ""


def _executorch(path: Path, operators: Sequence[OperatorFact]) -> _Found:
    if not operators:
        raise UsageError(f"{path} has no list of its operators beside it", hint="export the model again")
    rows = [
        _Row(
            fact.name,
            executorch_rules.base_name(fact.type),
            fact.module,
            _bound(fact.macs or 0, fact.int8, fact.depthwise, 0),
            fact.delegate,
            None if fact.delegated else executorch_rules.refusal_of(fact.type, fact.dtype),
        )
        for fact in operators
    ]
    note = "ExecuTorch divides a network when it is exported: these are the partitions that the file has"
    return rows, executorch_rules.RULES_FROM, "in the XNNPACK delegate", note


def _onnx(path: Path, operators: Sequence[OperatorFact]) -> _Found:
    import onnx

    from edgedeploy.exporters.onnx_operators import CONVERSIONS, operator_facts

    model = onnx.load(str(path))
    facts = operators or operator_facts(model, {})
    types = {node.op_type for node in model.graph.node}
    if not types & set(CONVERSIONS):
        rows = [_Row(fact.name, fact.type, fact.module, None) for fact in facts]
        return (
            rows,
            onnx_rules.RULES_FROM,
            "in float",
            "the model is not quantized, and ONNX Runtime has no delegate here",
        )
    around = onnx_rules.surroundings_of(model)
    rows = [
        _Row(
            fact.name,
            fact.type,
            fact.module,
            _bound(fact.macs or 0, fact.int8, fact.depthwise, 0),
            None,
            onnx_rules.refusal_of(fact.type, around[fact.name]) if fact.name in around else None,
        )
        for fact in facts
        if fact.type not in CONVERSIONS
    ]
    return rows, onnx_rules.RULES_FROM, "in integers", ""


def _bound(macs: int, int8: bool, depthwise: bool, bytes_moved: int) -> int | None:
    from edgedeploy.benchmarks.executors.operator_tracing import bound_of

    fact = OperatorFact("", "", macs=macs, int8=int8, depthwise=depthwise)
    return max(round(bound_of(fact) or 0), bytes_moved // BYTES_PER_INSTRUCTION) or None


def _partitions(rows: Sequence[_Row]) -> tuple[Partition, ...]:
    found = []
    for number in sorted({row.partition for row in rows if row.partition is not None}):
        inside = [row for row in rows if row.partition == number]
        bounds = sum(row.bound or 0 for row in inside) or None
        found.append(Partition(len(inside), _place(inside[0]), _place(inside[-1]), bounds))
    return tuple(found)


def _refused(rows: Sequence[_Row]) -> list[RefusedOperator]:
    """The operators outside; one breaks a partition where delegated ones are before and behind it."""
    numbers = [index for index, row in enumerate(rows) if row.partition is not None]
    found = []
    for index, row in enumerate(rows):
        if row.refusal is not None:
            between = bool(numbers) and numbers[0] < index < numbers[-1]
            advice = advice_for(row.type, row.refusal.kind)
            found.append(RefusedOperator(row.name, row.type, row.module, row.refusal, row.bound, advice, between))
    return found


def _place(row: _Row) -> str:
    return f"{row.type} at {row.module or row.name}"
