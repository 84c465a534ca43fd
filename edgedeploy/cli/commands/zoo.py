"""The commands that list what there is: models, targets, weights."""

from __future__ import annotations

from typing import Annotated

import typer

from edgedeploy.cli.options import JsonOption
from edgedeploy.cli.output import print_result

commands = typer.Typer()


@commands.command()
def models(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="Show only models whose name contains this.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List the models of the zoo.

    Shows size, published accuracy and latency, licence, and what was exported below ./artifacts. A full name shows all
    that is known about the model.
    """
    from edgedeploy.cli.tables.models import render_models
    from edgedeploy.pipeline.models import list_models

    print_result(list_models(pattern), render_models, as_json=as_json)


@commands.command()
def targets(as_json: JsonOption = False) -> None:
    """List the targets that a model can be exported to.

    A target is a file format with its runtime, and a quantization recipe. The parity is what an export must reach.
    """
    from edgedeploy.cli.tables.models import render_targets
    from edgedeploy.pipeline.targets import list_targets

    print_result(list_targets(), render_targets, as_json=as_json)


@commands.command()
def weights(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name from `edgedeploy models`.")],
    as_json: JsonOption = False,
) -> None:
    """Show where the official weights of a model are.

    Also their licence, what they were trained for, and their published accuracy.
    """
    from edgedeploy.cli.tables.models import render_weights
    from edgedeploy.pipeline.weights import find_weights

    print_result(find_weights(model), render_weights, as_json=as_json)
