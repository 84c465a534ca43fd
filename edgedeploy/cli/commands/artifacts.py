"""The commands that make and check artifacts: export, verify."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgedeploy.cli.interrupts import unwinding
from edgedeploy.cli.options import DeviceOption, JsonOption
from edgedeploy.cli.output import print_json, print_result
from edgedeploy.core.errors import EdgedeployError, ParityFailed, UsageError, combined

if TYPE_CHECKING:
    from edgedeploy.core.artifact import Artifact
    from edgedeploy.pipeline.layers.recreate import NetworkSource

commands = typer.Typer()


@commands.command()
def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A name from `edgedeploy models`, file.py:factory, package.module:factory, timm:NAME, "
            'torchvision:NAME, or a .pt2 file; "timm:NAME?KEY=VALUE&KEY=VALUE" gives arguments. '
            "Naming Python code runs it; take .pt2 files only from people you trust.",
        ),
    ],
    target: Annotated[
        list[str],
        typer.Option(
            "--target",
            "-t",
            metavar="TARGET[,...]",
            help="Names from `edgedeploy targets`, separated by commas; may be repeated.",
        ),
    ],
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="WEIGHTS",
            help="A checkpoint (.pth, .safetensors), its URL, or `official`. Default: random weights.",
        ),
    ] = None,
    input_size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Height and width of the input, such as 512x512.")
    ] = None,
    input_shape: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="SHAPE",
            help="An input of your own network: 1x3x224x224 or ids=1x16:int64; repeat it for further inputs.",
        ),
    ] = None,
    num_classes: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Number of classes of a network with random weights.")
    ] = None,
    head: Annotated[
        str,
        typer.Option(
            metavar="HEAD",
            help="The output. For segmentation: logits, upsampled (to the input size) or labels. "
            "For classification: logits, or features (four maps).",
        ),
    ] = "logits",
    calib: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="What int8 ranges come from: a folder of images, an .npz file with an array of samples for each input, "
            "or a folder of .npy files.",
        ),
    ] = None,
    num_calib: Annotated[int, typer.Option(min=1, metavar="N", help="Use at most this many calibration images.")] = 32,
    int8_io: Annotated[
        bool, typer.Option("--int8-io", help="With static int8, inputs and outputs are int8 too.")
    ] = False,
    layout: Annotated[
        str, typer.Option(metavar="LAYOUT", help="How tflite artifacts store images: nhwc or nchw.")
    ] = "nhwc",
    tune_for: Annotated[
        str,
        typer.Option(
            metavar="CPU", help="arm or x86: the CPU that the artifact is for. It changes onnx-fp32 and onnx-int8."
        ),
    ] = "arm",
    allow_low_parity: Annotated[
        bool, typer.Option("--allow-low-parity", help="Keep an artifact whose parity is below its target's threshold.")
    ] = False,
    min_runtime: Annotated[
        str | None,
        typer.Option(
            metavar="RUNTIME",
            help="tflite-2.14: fail if tflite-runtime 2.14, the legacy runtime, cannot load the file.",
        ),
    ] = None,
    without_rewrite: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Leave this rewrite out; may be repeated.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="How numbers are stored and computed: a recipe's name, its TOML file, or auto, which searches for "
            "the cheapest exceptions from int8. Default: the target's own.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE", help="Leave this module in float32; may be repeated, `*` matches any part."),
    ] = None,
    optimize_rounding: Annotated[
        bool | None,
        typer.Option(
            "--optimize-rounding/--no-optimize-rounding",
            help="Round the int8 weights of a layer together, by the calibration samples. Default: as the recipe says; "
            "static int8 does.",
            show_default=False,
        ),
    ] = None,
    min_sqnr: Annotated[
        float | None,
        typer.Option(metavar="DB", help="With --recipe auto: the SQNR to reach, in dB. Default: 25."),
    ] = None,
    max_drop: Annotated[
        str | None,
        typer.Option(metavar="PERCENT", help="With --recipe auto and --data: how far top-1 may fall, such as 0.5%."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="For --max-drop: labelled images, a folder for each class.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Write artifacts below this folder.")
    ] = Path("artifacts"),
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            help="Make N targets at a time, each in a process of its own. Default: as many as cores and memory allow.",
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show what each rewrite did, and where it was not applied.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Rewrite, lower and verify a model.

    Writes an artifact to artifacts/MODEL/TARGET/ for each target, after it has computed the same in its runtime as the
    float network.
    """
    from edgedeploy.cli.progress import RichReporter
    from edgedeploy.cli.tables.artifacts import render_artifacts
    from edgedeploy.core.storage.json_records import to_builtins
    from edgedeploy.pipeline.export import export as run
    from edgedeploy.pipeline.export import parse_input_size

    failure: EdgedeployError | None = None
    artifacts: Sequence[Artifact]
    try:
        artifacts = run(
            model,
            ",".join(target),
            weights=weights,
            input_size=parse_input_size(input_size) if input_size else None,
            inputs=tuple(input_shape or ()),
            num_classes=num_classes,
            head=head,
            calib=calib,
            num_calib=num_calib,
            int8_io=int8_io,
            layout=layout,
            tune_for=tune_for,
            allow_low_parity=allow_low_parity,
            min_runtime=min_runtime,
            without_rewrites=tuple(without_rewrite or ()),
            recipe=recipe,
            exclude=tuple(exclude or ()),
            optimize_rounding=optimize_rounding,
            min_sqnr_db=min_sqnr,
            max_drop=max_drop,
            data=data,
            output=output,
            jobs=jobs,
            reporter=RichReporter(verbose=verbose),
        )
    except EdgedeployError as error:  # what was exported is shown, whatever else failed
        if not error.completed:
            raise
        failure, artifacts = error, error.completed
    if as_json:  # the manifests, each with its folder
        print_json([{"artifact": str(made.folder), **to_builtins(made.manifest)} for made in artifacts])
    else:
        print_result(artifacts, render_artifacts, as_json=False)
    if failure is not None:
        raise failure


@commands.command()
def verify(
    artifact: Annotated[
        list[Path], typer.Argument(metavar="ARTIFACT", help="A folder, manifest or file of an artifact.")
    ],
    device: DeviceOption = "local",
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Threads of the runtime.")] = 1,
    layers: Annotated[
        bool,
        typer.Option(
            "--layers",
            help="Show the operators where one artifact, or the second of two files, parts from the float one.",
        ),
    ] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --layers: write a page with a plot and all operators.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="With --layers: the network, where it is your own. Naming code runs it."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="WEIGHTS", help="With --layers: the checkpoint, if it was moved.")
    ] = None,
    calib: Annotated[
        str | None, typer.Option(metavar="DIR", help="With --layers: the images of an export with random weights.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare artifacts with the float network again.

    Runs each artifact on its stored inputs and compares its outputs with the stored ones of the float network.
    With --layers it runs the operators of a .tflite or .onnx artifact one by one: once with the float network's
    values, which shows each operator's own error, and once with the artifact's. `verify --layers FLOAT INT8`
    compares two files of any origin.
    """
    from edgedeploy.pipeline.layers.recreate import NetworkSource

    if layers:
        _verify_layers(artifact, NetworkSource(model, weights, calib), html, as_json=as_json)
        return
    for option, value in (("--html", html), ("--model", model), ("--weights", weights), ("--calib", calib)):
        if value is not None:
            raise UsageError(f"{option} is for --layers")
    from edgedeploy.cli.progress import RichReporter
    from edgedeploy.cli.tables.artifacts import VerifiedRow, render_verified
    from edgedeploy.pipeline.verify import verify_outputs

    reporter = RichReporter()
    rows: list[VerifiedRow] = []
    failures: dict[str, EdgedeployError] = {}
    with unwinding():
        for path in artifact:
            try:
                outputs = verify_outputs(path, device=device, threads=threads, reporter=reporter)
            except EdgedeployError as error:
                failures[str(path)] = error
                continue
            rows += [
                VerifiedRow(str(path), index, output.parity, output.host_agreement)
                for index, output in enumerate(outputs)
            ]
    if rows or not failures:
        print_result(rows, render_verified, as_json=as_json)
    if failures:
        raise combined(failures, f"{len(failures)} of {len(artifact)} artifacts failed") from None


def _verify_layers(files: Sequence[Path], source: NetworkSource, html: Path | None, *, as_json: bool) -> None:
    """`verify --layers`. Raises ParityFailed where an operator stands out."""
    from edgedeploy.cli.progress import RichReporter
    from edgedeploy.cli.tables.layers import render_layers
    from edgedeploy.core.storage.files import write_atomically
    from edgedeploy.pipeline.destinations import check_destinations
    from edgedeploy.pipeline.layers import compare_files, render_layers_page
    from edgedeploy.pipeline.layers.artifacts import verify_layers

    if html is not None:
        check_destinations([html], inputs=files)
    if len(files) > 2:
        raise UsageError("--layers takes one artifact, or a float file and one to compare with it")
    with unwinding():
        if len(files) == 2:
            report = compare_files(files[0], files[1], reporter=RichReporter())
        else:
            report = verify_layers(files[0], source=source, reporter=RichReporter())
    if html is not None:
        write_atomically(html, render_layers_page(report))
    print_result(report, render_layers, as_json=as_json)
    if report.first is not None:
        raise ParityFailed(f"{report.artifact} parts from {report.reference} at {report.first.where}")
