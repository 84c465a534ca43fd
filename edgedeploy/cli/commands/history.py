"""The commands of the result store: history add, list, query."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edgedeploy.cli.options import JsonOption, StoreOption
from edgedeploy.cli.output import print_json, print_result, stdout_layout

commands = typer.Typer()
history = typer.Typer(
    no_args_is_help=True,
    help="Keep measurements over time, and find where they changed.\n\nThe history is a folder of JSON Lines files, one "
    "for each device, made to live in git.",
)
commands.add_typer(history, name="history")


@history.command("add")
def add(
    results: Annotated[
        list[str], typer.Argument(metavar="RESULTS", help="Files of `bench --json`, or folders of them.")
    ],
    store: StoreOption = Path("history"),
    revision: Annotated[
        str | None, typer.Option(metavar="REV", help="What was measured. Default: the commit that bench recorded.")
    ] = None,
) -> None:
    """Append measurements to the history.

    Nothing that is there is read or changed; several processes may append at once. Of two artifacts in turns that have
    one name only the head is added: the base belongs to another revision.
    """
    from edgedeploy.cli.tables.text import render
    from edgedeploy.core.results.comparison import counted
    from edgedeploy.core.results.source import short_revision
    from edgedeploy.pipeline.results.history import add_to_history

    added = add_to_history(results, store=store, revision=revision)
    named = ", ".join(short_revision(revision) or "no revision" for revision in added.revisions)
    text = f"{counted(added.count, 'measurement')} of {named} added to {', '.join(added.files)}"
    print(render(text, layout=stdout_layout()), end="")
    if "" in added.revisions:
        print("note: a file has no revision: bench ran outside of a git repository, or was", file=sys.stderr)
        print("      older than this record of it; name what was measured with --revision", file=sys.stderr)


@history.command("list")
def list_rows(
    pattern: Annotated[
        str, typer.Argument(metavar="PATTERN", help="Show only rows whose MODEL/TARGET contains this.")
    ] = "",
    device: Annotated[str, typer.Option(metavar="NAME", help="Show only devices whose name contains this.")] = "",
    store: StoreOption = Path("history"),
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit with 1 if a row became slower within its last 20 measurements.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show each row over time, with its change points.

    A change point is where the level of a row changed; a slow creep has several, or one in its middle.
    """
    from edgedeploy.cli.tables.history import render_history
    from edgedeploy.pipeline.results.history import check_history, list_history

    found = list_history(pattern, device=device, store=store)
    print_result(found, render_history, as_json=as_json)
    if gate:
        check_history(found)


@history.command("query")
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="A SELECT from the table `measurements`.")],
    store: StoreOption = Path("history"),
    as_json: JsonOption = False,
) -> None:
    """Query the history in SQL.

    The rows are read into SQLite; the query cannot change them. `select * from measurements limit 1` shows the columns.
    """
    from edgedeploy.cli.tables.history import render_query
    from edgedeploy.pipeline.results.history import query_history

    columns, rows = query_history(sql, store=store)
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_result((columns, rows), render_query, as_json=False)
