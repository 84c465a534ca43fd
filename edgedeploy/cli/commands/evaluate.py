"""The command that says what a network reaches on labelled data: evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgedeploy.cli.interrupts import unwinding
from edgedeploy.cli.options import DeviceOption, is_stdout
from edgedeploy.cli.output import print_json, print_result

commands = typer.Typer()


@commands.command()
def evaluate(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="ARTIFACT",
            help="A folder, manifest or file of an artifact; or a model as `export` takes it: its float network alone.",
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="DIR",
            help="Labelled images: a folder for each class; images/ and masks/; ADE20K's or Cityscapes' folders; "
            "or images alone, for the agreement with the float network.",
        ),
    ],
    device: DeviceOption = "local",
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most this many images, as many of each class.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.py:FUNCTION",
            help="A metric of your own: called with the outputs and the label of each image, it returns a number. "
            "Naming it runs it.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="The float network of an artifact of your own code, such as net.py:make. Runs it."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="WEIGHTS", help="The float network's weights. Default: the file of the export."),
    ] = None,
    input_size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Input size of a float network that is evaluated alone.")
    ] = None,
    input_shape: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="SHAPE", help="Its input, where it is your own: 1x3x224x224."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Threads of the artifact's runtime.")] = 1,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write the record to this file; - prints it to stdout."),
    ] = None,
) -> None:
    """Measure accuracy on labelled data.

    Runs an artifact in its own runtime, here or on a device, and the float network beside it on the same images. Prints
    top-1 and top-5, or mIoU and pixel accuracy, with 95 % intervals, also of the difference. The result goes into the
    manifest. After a stop the same command goes on where it was.
    """
    from edgedeploy.cli.progress import RichReporter
    from edgedeploy.cli.tables.artifacts import render_evaluation
    from edgedeploy.core.storage.json_records import write_record
    from edgedeploy.pipeline.destinations import check_destinations
    from edgedeploy.pipeline.evaluate import evaluate as run
    from edgedeploy.pipeline.export import parse_input_size

    to_stdout = is_stdout(json_file)
    if json_file is not None and not to_stdout:
        check_destinations([json_file])
    with unwinding():
        made = run(
            subject,
            data,
            device=device,
            limit=limit,
            metric=metric,
            model=model,
            weights=weights,
            input_size=parse_input_size(input_size) if input_size else None,
            inputs=tuple(input_shape or ()),
            threads=threads,
            reporter=RichReporter(),
        )
    if to_stdout:
        print_json(made)
        return
    if json_file is not None:
        write_record(json_file, made)
    print_result(made, render_evaluation, as_json=False)
