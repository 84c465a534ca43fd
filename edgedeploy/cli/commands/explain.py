"""The command explain."""

from __future__ import annotations

from typing import Annotated

import typer

from edgedeploy.cli.interrupts import unwinding
from edgedeploy.cli.options import JsonOption
from edgedeploy.cli.output import print_result

commands = typer.Typer()


@commands.command()
def explain(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|ARTIFACT",
            help="An artifact, a .tflite or .onnx file, or a network as `export` takes it: that is exported to the cache.",
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", metavar="TARGET", help="For a network: a name from `edgedeploy targets`."),
    ] = None,
    input_size: Annotated[
        str | None, typer.Option(metavar="HxW", help="For a network: height and width of the input.")
    ] = None,
    input_shape: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="SHAPE", help="For a network of your own: an input, such as 1x3x224x224."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the runtime's delegate takes of an artifact, and why not the rest.

    Nothing is run: the rules were read from the runtime's sources. Shows the partitions, the operators outside, the reason,
    the fewest Arm instructions that they take, and the rewrite or rule that mends it.
    """
    from edgedeploy.cli.progress import RichReporter
    from edgedeploy.cli.tables.explanation import render_explanation
    from edgedeploy.pipeline.explain import explain as run
    from edgedeploy.pipeline.export import parse_input_size

    with unwinding():
        found = run(
            model,
            target,
            inputs=tuple(input_shape or ()),
            input_size=parse_input_size(input_size) if input_size else None,
            reporter=RichReporter(),
        )
    print_result(found, render_explanation, as_json=as_json)
