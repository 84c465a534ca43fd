"""The line: network -> rewritten -> lowered -> proven -> artifact -> measured.

    ModelSpec -build-> module -rewrite-> module' -export-> ExportedProgram -quantize, lower-> Artifact + Manifest
        -run-> raw samples -summarise-> Measurement

Each wing is imported inside the function that needs it: measuring needs no torch.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedeploy.core.artifact import GOLDEN, MANIFEST, Artifact, Golden, Manifest, quantize
from edgedeploy.core.errors import EdgedeployError, ExportFailed, ParityFailed, UsageError
from edgedeploy.core.reporter import NullReporter, Reporter
from edgedeploy.core.storage.files import (
    check_writable,
    output_errors,
    private_folder,
    sha256_of,
    staged_folder,
    write_json,
)
from edgedeploy.core.versions import EDGEDEPLOY_VERSION
from edgedeploy.core.versions import versions
from edgedeploy.data.calibration import CalibrationSet
from edgedeploy.models.loading.networks import Network, network_for, with_features
from edgedeploy.models.loading.official_weights import weights_file
from edgedeploy.pipeline.verify import check_thresholds, parity_of

from .minimum_runtime import check_min_runtime, require_loads

if TYPE_CHECKING:
    from torch import nn

    from edgedeploy.exporters.job import Lowered, Shared
    from edgedeploy.exporters.targets import Target, Threshold
    from edgedeploy.models.rewrites import RewrittenModule

NUM_CALIB = 32
NUM_VERIFICATION_SAMPLES = 4  # held-out images that parity is measured on; the first is stored beside the artifact
HEADS = ("logits", "upsampled", "labels", "features")


def create_model(name: str, weights: str | Path | None = None, *, num_classes: int | None = None) -> nn.Module:
    """The eager reference network in eval mode, with the official state_dict keys.

    Args:
        name: a zoo name, or a network of your own as `edgedeploy export` takes it.
        weights: a file, an address, or "official"; without them the parameters are seeded random ones, the same at
            every call.
    """
    return network_for(name, weights=weights, num_classes=num_classes).module


def export(
    model: str,
    targets: str | Sequence[str],
    *,
    weights: str | Path | None = None,
    input_size: tuple[int, int] | None = None,
    inputs: Sequence[str] = (),
    num_classes: int | None = None,
    head: str = "logits",
    calib: str | Path | None = None,
    num_calib: int = NUM_CALIB,
    int8_io: bool = False,
    allow_low_parity: bool = False,
    min_runtime: str | None = None,
    without_rewrites: Sequence[str] = (),
    output: str | Path = "artifacts",
    reporter: Reporter | None = None,
) -> list[Artifact]:
    """Rewrites, lowers and proves a network for each target; the artifacts lie in `output`/<model>/<target>/.

    Args:
        model: a zoo name, `file.py:factory`, `package.module:factory`, `timm:NAME`, `torchvision:NAME`, or a `.pt2` file.
        targets: names from `edgedeploy targets`.
        weights: a checkpoint's file or address, or "official"; without one a zoo network's weights are random, and the
            manifest says so.
        input_size: (height, width); by default the official weights' own.
        inputs: what a network of your own takes, such as "1x3x224x224" or "tokens=1x16:int64", one for each input.
        head: of a segmentation network "logits", "upsampled" or "labels"; of a classification network "features": its
            four stage outputs.
        calib: a folder of images for int8 ranges; by default crops of scikit-learn's photographs.
        int8_io: inputs and outputs of static int8 artifacts are int8 too.
        allow_low_parity: keep an artifact whose parity is below its target's floor.
        min_runtime: "tflite-2.14" refuses a tflite artifact that tflite-runtime 2.14.0 cannot load.
        without_rewrites: rewrites to leave out.
        reporter: is told what happens.

    Raises an EdgedeployError. A target that fails does not stop the others; its error is raised at the end.
    """
    reporter = reporter or NullReporter()
    chosen = _targets(targets)
    _check_names(head, without_rewrites)
    check_min_runtime(min_runtime)
    check_writable(Path(output))
    weights = weights_file(weights, model, reporter)
    with reporter.stage(f"build {model}"):
        network = network_for(model, weights=weights, input_size=input_size, inputs=inputs, num_classes=num_classes)
    if head == "features":
        network = with_features(network)
    elif head != "logits" and network.task != "segmentation":
        raise UsageError(f"{network.name} is no segmentation network: it has no --head {head}")
    calibration = _calibration(network, chosen, calib, num_calib, reporter)
    if network.random:
        _settle_random_weights(network, calibration, reporter)

    golden = _golden(network, head)
    failures: list[tuple[str, EdgedeployError]] = []
    artifacts: list[Artifact] = []
    with private_folder() as scratch:
        from edgedeploy.exporters.job import Shared, quiet

        shared = Shared(scratch, scratch / "converters.log")
        rewritten: dict[tuple[str, ...], RewrittenModule] = {}
        for target in chosen:
            names = tuple(name for name in target.rewrites if name not in without_rewrites)
            try:
                if names not in rewritten:
                    with reporter.stage(f"rewrite for {target.name}"), quiet(shared.log):
                        rewritten[names] = _rewrite(network, head, names, golden)
                    _tell_rewrites(rewritten[names], reporter)
                artifacts.append(
                    _export_one(
                        network, head, target, rewritten[names], calibration, golden, shared, reporter,
                        int8_io=int8_io, allow_low_parity=allow_low_parity, min_runtime=min_runtime, output=Path(output),
                    )
                )  # fmt: skip
            except EdgedeployError as error:
                if len(chosen) == 1:
                    raise
                reporter.note(f"{target.name} failed: {error.message}")
                failures.append((target.name, error))
    if failures:
        worst = max(failures, key=lambda failure: failure[1].exit_code)[1]
        details = [f"{name}: {line}" for name, error in failures for line in str(error).splitlines()]
        combined = type(worst) if type(worst) in (ParityFailed, ExportFailed) else ExportFailed
        raise combined(f"{len(failures)} of {len(chosen)} targets failed", details=details)
    return artifacts


def _targets(targets: str | Sequence[str]) -> list[Target]:
    from edgedeploy.exporters.targets import TARGETS

    names = targets.split(",") if isinstance(targets, str) else list(targets)
    unique = dict.fromkeys(name.strip() for name in names if name.strip())
    if not unique:
        raise UsageError("no target was named", hint=f"--target {TARGETS.names()[-1]}")
    return list(dict.fromkeys(TARGETS[name] for name in unique))


def _check_names(head: str, without_rewrites: Sequence[str]) -> None:
    from edgedeploy.core.errors import UnknownName

    if head not in HEADS:
        raise UnknownName("head", head, HEADS, hint=f"--head {', '.join(HEADS)}")
    if without_rewrites:
        from edgedeploy.models.rewrites import ALL

        for name in without_rewrites:
            _ = ALL[name]


def _calibration(
    network: Network, targets: Sequence[Target], calib: str | Path | None, count: int, reporter: Reporter
) -> CalibrationSet | None:
    """The images that int8 ranges and random networks' norms come from; None where nothing needs them."""
    from edgedeploy.data.images import from_folder, from_photographs

    size = network.image_size
    quantized = any(target.recipe.needs_calibration for target in targets)
    wanted = network.random or quantized
    if size is None and calib:
        raise UsageError(f"--calib is for networks that take one RGB image; {network.name} does not")
    if size is None and quantized:
        reporter.note(
            f"{network.name} takes no image: int8 ranges come from random inputs, which show that it lowers, no more"
        )
    if size is None or not (wanted or calib):
        return None
    if calib is not None:
        with reporter.stage(f"read calibration images from {calib}"):
            found = from_folder(Path(calib), size, network.preprocessing, count, reporter.advance)
        for name, reason in found.skipped:
            reporter.note(f"calibration image {name} is skipped: {reason}")
        reporter.detail(f"{len(found)} images, sha256 {found.sha256[:12]}")
        return found
    found = from_photographs(size, network.preprocessing, count)
    if any(target.recipe.needs_calibration for target in targets):
        reporter.note(
            f"int8 ranges come from {len(found)} {found.name}; for a network that ships use your own: --calib DIR"
        )
    return found


def _settle_random_weights(network: Network, calibration: CalibrationSet | None, reporter: Reporter) -> None:
    import torch

    from edgedeploy.models.loading.checkpoints import estimate_norms, state_sha256

    reporter.note(
        f"{network.name} has random weights (seed {network.weights['seed']}); give trained ones with --weights FILE"
    )
    if calibration is not None:
        with reporter.stage("estimate the norms' statistics"):
            estimate_norms(network.module, torch.from_numpy(np.concatenate(list(calibration)[:16])))
    network.weights["sha256"] = state_sha256(network.module)


def _golden(network: Network, head: str) -> Golden:
    """Held-out inputs and what the eager network, with its head, gives for them."""
    import torch

    from edgedeploy.data.images import held_out
    from edgedeploy.models.adapters.heads import with_head

    size = network.image_size
    if size is not None:
        samples: list[list[Any]] = [
            [image] for image in held_out(size, network.preprocessing, NUM_VERIFICATION_SAMPLES)
        ]
    else:
        rng = np.random.default_rng(0)
        samples = [network.draw(rng) for _ in range(NUM_VERIFICATION_SAMPLES)]
    # a network with the features head is its own reference: with_features took its classifier off
    reference = network.module if head == "features" else with_head(network.module, head)
    with torch.no_grad():
        outputs = [reference(*(torch.from_numpy(array) for array in sample)) for sample in samples]
    return Golden(samples, [[t.numpy() for t in torch.utils._pytree.tree_leaves(output)] for output in outputs])


def _rewrite(network: Network, head: str, names: Sequence[str], golden: Golden) -> RewrittenModule:
    """Rewrites the bare network, so that each proof sees real-valued outputs; then the head, if there is one."""
    import torch

    from edgedeploy.models import rewrites
    from edgedeploy.models.adapters.heads import with_head

    examples = tuple(torch.from_numpy(array) for array in network.draw(np.random.default_rng(0)))
    proof = [examples, tuple(torch.from_numpy(array) for array in golden.inputs[0])]
    chosen = [rewrite for rewrite in rewrites.ALL if rewrite.name in names]
    try:
        captured = rewrites.capture(network.module, examples)
    except Exception as error:  # torch.export raises many kinds
        from .conversion_errors import explain_capture

        raise explain_capture(error, network.name, network.module, examples) from error
    done = rewrites.apply(chosen, captured, proof)
    if head in ("logits", "features"):  # features are taken in the network itself
        return done
    headed = rewrites.capture(with_head(done.module, head), examples)
    tail = rewrites.apply(chosen, headed, proof)
    fired = tuple(step for step in tail.log if step.fired)
    return rewrites.RewrittenModule(tail.module, done.log + fired, done.rounding)


def _tell_rewrites(rewritten: RewrittenModule, reporter: Reporter) -> None:
    for step in rewritten.log:
        if step.fired:
            reporter.detail(f"{step.rewrite}: {step.fired} places, largest error {step.relative_error:.1g} σ")
        for place in step.declined:
            reporter.detail(
                f"{step.rewrite} declines {place.operator} at {place.where or 'the top level'}: {place.reason}"
            )


def _export_one(
    network: Network,
    head: str,
    target: Target,
    rewritten: RewrittenModule,
    calibration: CalibrationSet | None,
    golden: Golden,
    shared: Shared,
    reporter: Reporter,
    *,
    int8_io: bool,
    allow_low_parity: bool,
    min_runtime: str | None,
    output: Path,
) -> Artifact:
    import torch

    from edgedeploy.benchmarks.executors.python_process import RunOptions, run_locally
    from edgedeploy.exporters.job import ExportJob

    final = output / network.name / target.name
    samples = _samples(network, target, calibration)
    with staged_folder(final) as stage:
        job = ExportJob(
            module=rewritten.module,
            example_inputs=tuple(torch.from_numpy(array) for array in golden.inputs[0]),
            input_names=tuple(spec.name for spec in network.inputs),
            output_names=network.output_names or (head,),
            recipe=target.recipe,
            calibration=samples,
            integer_io=int8_io and target.recipe.needs_calibration,
            path=stage / target.file,
            shared=shared,
        )
        with reporter.stage(f"lower to {target.name}"), output_errors(final):
            lowered = _lower(target, job, network.name)
        manifest = _manifest(network, head, target, rewritten, calibration if samples else None, lowered, job.path)
        require_loads(min_runtime, target.runner, job.path, f"{network.name}/{target.name}")
        with reporter.stage(f"prove {target.name} in {target.runner}"):
            inputs = [[quantize(a, s) for a, s in zip(x, lowered.inputs, strict=True)] for x in golden.inputs]
            ran = run_locally(target.runner, job.path, inputs, RunOptions(warmup_runs=0, num_runs=0))
        parity = parity_of(golden, ran.outputs, manifest)
        manifest = Manifest(**{**_fields(manifest), "parity": tuple(parity)})
        check_thresholds(
            f"{network.name}/{target.name}", manifest.floor, parity, allow=allow_low_parity, reporter=reporter
        )
        write_json(stage / MANIFEST, manifest.to_json())
        with output_errors(final):
            Golden(golden.inputs[:1], golden.outputs[:1]).save(stage / GOLDEN)
    return Artifact(final, manifest)


def _samples(network: Network, target: Target, calibration: CalibrationSet | None) -> list[tuple[Any, ...]]:
    """What activation ranges are taken from: images, or seeded inputs where the network takes something else."""
    if not target.recipe.needs_calibration:
        return []
    if calibration is not None:
        return [(image,) for image in calibration]
    rng = np.random.default_rng(1)
    return [tuple(network.draw(rng)) for _ in range(NUM_CALIB)]


def _lower(target: Target, job: Any, name: str) -> Lowered:
    from .conversion_errors import explain

    try:
        return target.export()(job)
    except (EdgedeployError, OSError, KeyboardInterrupt):
        raise
    except Exception as error:  # a converter may raise anything; it is said in the user's words
        raise explain(error, target, name, job.shared.log, job.module) from error


def _manifest(
    network: Network,
    head: str,
    target: Target,
    rewritten: RewrittenModule,
    calibration: CalibrationSet | None,
    lowered: Lowered,
    path: Path,
) -> Manifest:
    from dataclasses import asdict

    import torch

    from edgedeploy.models.macs import count_macs

    return Manifest(
        model=network.name,
        target=target.name,
        runner=target.runner,
        file=path.name,
        sha256=sha256_of(path),
        size_bytes=path.stat().st_size,
        inputs=lowered.inputs,
        outputs=lowered.outputs,
        parity=(),
        floor=_threshold_record(target.floor),
        macs=count_macs(network.module, [torch.from_numpy(a) for a in network.draw(np.random.default_rng(0))]),
        task=network.task,
        preprocessing=asdict(network.preprocessing) if network.image_size else {},
        made_by={
            "edgedeploy": EDGEDEPLOY_VERSION,
            "created_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "source": network.source,
            "weights": network.weights,
            "head": head,
            "recipe": target.recipe.name,
            "recipe_settings": lowered.recipe_record,
            "calibration": calibration.to_json() if calibration else None,
            "rewrites": [step.to_json() for step in rewritten.log],
            "rounding_error": rewritten.rounding,
            "graph": lowered.facts,
            "versions": versions(),
        },
    )


def _fields(manifest: Manifest) -> dict[str, Any]:
    return {name: getattr(manifest, name) for name in Manifest.__dataclass_fields__}


def _threshold_record(floor: Threshold) -> dict[str, float | None]:
    return {
        "relative_error": floor.relative_error,
        "sqnr_db": floor.sqnr_db,
        "label_agreement": floor.label_agreement,
    }
