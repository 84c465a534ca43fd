"""The commands that judge measurements: compare and report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgedeploy.cli.options import JsonOption, StoreOption
from edgedeploy.cli.output import print_result, stdout_layout

commands = typer.Typer()


@commands.command()
def compare(
    base: Annotated[
        str,
        typer.Argument(
            metavar="BASE", help="A file of `bench --json`, a folder of them, or a revision of the history."
        ),
    ],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="The same, of the version that is judged.")],
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="FIGURE", help="Compare this figure: median or p90. Default: median; p90 for --protocol mlperf."
        ),
    ] = None,
    margin: Annotated[
        float, typer.Option(metavar="PERCENT", help="A change that is surely within this is called the same.")
    ] = 5.0,
    false_alarm_rate: Annotated[
        float,
        typer.Option(
            metavar="RATE", help="How often a comparison of equal artifacts may raise an alarm, over all rows."
        ),
    ] = 0.005,
    force: Annotated[
        bool, typer.Option("--force", help="Compare also what was measured on other devices or conditions, marked.")
    ] = False,
    require_trust: Annotated[
        bool,
        typer.Option("--require-trust", help="Exit with 4 if a row could not be compared, or a budget not judged."),
    ] = False,
    store: StoreOption = Path("history"),
    as_json: JsonOption = False,
) -> None:
    """Compare two sets of measurements, and fail on a regression.

    Each row is faster, same, slower or unknown, with the size of the change and how sure it is. Executed Arm
    instructions are compared exactly. Size, load time, peak memory and SQNR must not get worse, and the budgets of
    edgedeploy.toml must hold. Exits with 1 on a regression.
    """
    from edgedeploy.cli.tables.comparison import render_comparison
    from edgedeploy.pipeline.results.compare import check_comparison
    from edgedeploy.pipeline.results.compare import compare as run

    found = run(
        base,
        head,
        store=store,
        metric=metric,
        margin=margin / 100,
        false_alarm_rate=false_alarm_rate,
        force=force,
    )
    print_result(found, render_comparison, as_json=as_json)
    check_comparison(found, require_trust=require_trust)


@commands.command()
def report(
    results: Annotated[
        list[str], typer.Argument(metavar="RESULTS", help="Files of `bench --json`, or folders of them.")
    ],
    base: Annotated[
        str | None,
        typer.Option(metavar="BASE", help="Compare with this: a file, a folder, or a revision of the history."),
    ] = None,
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="terminal, markdown, junit, html, github-action-benchmark, bencher or otava.",
        ),
    ] = "terminal",
    only: Annotated[str, typer.Option(metavar="TEXT", help="Report only rows whose MODEL/TARGET contains this.")] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compare also what was measured on other devices or conditions, marked.")
    ] = False,
    store: StoreOption = Path("history"),
) -> None:
    """Report measurements to people, CI systems and dashboards.

    With --base they are compared first; a regression is reported and does not fail: that is what `compare` is for. HTML is
    one page that needs no network. The history of the rows is in it where there is one.
    """
    from edgedeploy.cli.tables.comparison import render_comparison
    from edgedeploy.cli.tables.layout import PLAIN
    from edgedeploy.cli.tables.measurements import render_measurements
    from edgedeploy.cli.tables.protocols.paired import render_pairs
    from edgedeploy.core.storage.files import write_atomically
    from edgedeploy.pipeline.destinations import check_destinations
    from edgedeploy.pipeline.results.report import TERMINAL, make_report, render_report

    if output is not None:
        check_destinations([output], inputs=[Path(file) for file in (*results, *([base] if base else []))])
    made = make_report(results, base, only=only, store=store, force=force)
    if format_name == TERMINAL:
        layout = stdout_layout() if output is None else PLAIN
        parts = [render_measurements(made.rows, layout, sides=made.sides)]
        parts += [render_pairs(made.pairs, layout)] if made.pairs else []
        parts += [render_comparison(made.comparison, layout)] if made.comparison else []
        text = "\n".join(parts)
    else:
        text = render_report(made, format_name)
    if output is None:
        print(text, end="")
    else:
        write_atomically(output, text)
