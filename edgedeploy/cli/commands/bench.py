"""The command that measures: bench."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgedeploy.cli.interrupts import unwinding
from edgedeploy.cli.options import DeviceOption, is_stdout, parse_threads
from edgedeploy.cli.output import print_json, print_result

if TYPE_CHECKING:
    from edgedeploy.core.measurement import Measurement
    from edgedeploy.core.results.paired import PairedComparison
    from edgedeploy.pipeline.measuring.options import BenchKeywords

commands = typer.Typer()


@commands.command()
def bench(
    artifact: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ARTIFACT",
            help="Artifacts, or names of models below ./artifacts. Default: everything below ./artifacts.",
        ),
    ] = None,
    device: DeviceOption = "local",
    threads: Annotated[
        str, typer.Option(metavar="N[,...]", help="Numbers of threads, such as 1,2,4; each gets a row.")
    ] = "1",
    warmup_runs: Annotated[int, typer.Option(metavar="N", help="Inferences before the first measured one.")] = 3,
    num_runs: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Measure at least this many inferences in each launch. Default: 50; 15 with --interleave."
        ),
    ] = None,
    min_secs: Annotated[
        float | None,
        typer.Option(
            metavar="SECS", help="Measure at least this long in each launch. Default: 1; 0.2 with --interleave."
        ),
    ] = None,
    max_secs: Annotated[
        float | None, typer.Option(metavar="SECS", help="Measure at most this long in each launch. Default: 150.")
    ] = None,
    launches: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Start the runner this often for each row: processes differ, too. Default: 3; 12 with --interleave.",
        ),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="default; mlperf: at least 1024 inferences and 60 s in one launch, judged by p90; or sustained: "
            "--minutes without a pause, with the curve and the time to throttle.",
        ),
    ] = "default",
    minutes: Annotated[
        float | None, typer.Option(metavar="N", help="With --protocol sustained, how long. Default: 10.")
    ] = None,
    interleave: Annotated[
        bool,
        typer.Option(
            "--interleave",
            help="Launch two artifacts in turns, in random order, with a canary between, and say which is faster.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="With --interleave, the seed of the order.")] = 0,
    cores: Annotated[
        str, typer.Option(metavar="CORES", help="big, little, all, or a hexadecimal mask such as f0.")
    ] = "all",
    max_start_temp: Annotated[
        float | None, typer.Option(metavar="°C", help="Wait before each row until the processor is cooler than this.")
    ] = None,
    cooldown: Annotated[float, typer.Option(min=0, metavar="SECS", help="Pause between two launches.")] = 0.0,
    runtime: Annotated[
        str | None,
        typer.Option(
            metavar="RUNTIME", help="tflite-runtime: run tflite-* in the legacy runtime 2.14, on this machine."
        ),
    ] = None,
    profile: Annotated[
        bool,
        typer.Option(
            "--profile", help="Run each row once more, for the time (on qemu: the instructions) of each operator."
        ),
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option(
            "--record",
            metavar="FILE",
            help="Keep the whole dialogue with the device and the samples in this file; --device replay:FILE runs the "
            "line again without the device.",
        ),
    ] = None,
    record_names: Annotated[
        bool, typer.Option("--record-names", help="Leave serial numbers and user names in the record.")
    ] = False,
    require_trust: Annotated[
        bool, typer.Option("--require-trust", help="Exit with 4 if a row is not trustworthy.")
    ] = False,
    top: Annotated[
        int, typer.Option(min=0, metavar="N", help="With --profile, show this many; the JSON has every operator.")
    ] = 10,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write all samples to this file; - prints them to stdout."),
    ] = None,
) -> None:
    """Measure artifacts on this machine or on a device.

    Each artifact runs in its own runtime, in processes of its own, and its outputs are verified on the way. A row that
    drifts, throttles or jumps is marked as not trustworthy, with the reason and what to do. The device qemu counts
    executed Arm instructions instead of time, with --profile operator by operator.
    """
    from edgedeploy.cli.progress import RichReporter
    from edgedeploy.cli.tables.protocols.paired import render_pairs
    from edgedeploy.core.errors import UsageError
    from edgedeploy.core.results.report import sides_of
    from edgedeploy.core.results.source import SourcedResults
    from edgedeploy.pipeline.bench import bench as run
    from edgedeploy.pipeline.measuring.interleaved import bench_interleaved
    from edgedeploy.pipeline.measuring.recorded import recorded_line
    from edgedeploy.pipeline.measuring.revisions import source_here

    to_stdout = is_stdout(json_file)
    rows: dict[int, Measurement] = {}
    pairs: list[PairedComparison] = []
    options: BenchKeywords = {
        "device": device,
        "threads": parse_threads(threads),
        "warmup_runs": warmup_runs,
        "num_runs": num_runs,
        "min_secs": min_secs,
        "max_secs": max_secs,
        "launches": launches,
        "minutes": minutes,
        "cores": cores,
        "max_start_temp": max_start_temp,
        "cooldown": cooldown,
        "runtime": runtime,
        "profile": profile,
        "require_trust": require_trust,
        "record": record,
        "record_names": record_names,
        "json_file": None if to_stdout else json_file,
    }
    line = recorded_line(device)
    if line is not None:
        artifact, interleave, seed = artifact or [*line.artifacts], line.interleave, line.seed
    source = source_here(device) if to_stdout else None
    try:
        with unwinding():
            if interleave:
                if protocol != "default":
                    raise UsageError("--interleave has a protocol of its own", hint="leave --protocol out")
                bench_interleaved(
                    artifact or (),
                    seed=seed,
                    reporter=RichReporter(),
                    on_row=rows.__setitem__,
                    on_pair=pairs.append,
                    **options,
                )
            else:
                options["protocol"] = protocol
                run(artifact or (), reporter=RichReporter(), on_row=rows.__setitem__, **options)
    finally:  # the rows that were measured are printed, whatever came after them
        measured = [rows[index] for index in sorted(rows)]
        if to_stdout:
            print_json(SourcedResults.made(measured, pairs, source))
        elif measured:
            _print_tables(measured, top, sides_of(measured, pairs))
            if pairs:
                print()
                print_result(pairs, render_pairs, as_json=False)


def _print_tables(rows: Sequence[Measurement], top: int, sides: Sequence[str]) -> None:
    from edgedeploy.cli.tables.instruction_profiles import render_instruction_profiles
    from edgedeploy.cli.tables.measurements import render_measurements, render_profiles
    from edgedeploy.cli.tables.protocols.sustained import render_sustained

    print_result(rows, functools.partial(render_measurements, sides=sides), as_json=False)
    if any(row.sustained for row in rows):
        print()
        print_result(rows, render_sustained, as_json=False)
    print_result(rows, functools.partial(render_profiles, top=top), as_json=False)
    print_result(rows, functools.partial(render_instruction_profiles, top=top), as_json=False)
