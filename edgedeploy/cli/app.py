"""The command line. Each command parses, makes one call, and prints.

Results go to stdout, progress and warnings to stderr. Exit codes: 0 fine, 1 a regression or a failed parity, 2 wrong use,
3 a device or a tool failed, 4 the measurement is not trustworthy.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgedeploy.core.errors import EdgedeployError, UsageError
from edgedeploy.core.storage.files import remove_unfinished

if TYPE_CHECKING:
    from edgedeploy.core.measurement import Measurement

app = typer.Typer(
    name="edgedeploy",
    help="Ship vision networks on Arm CPUs: rewrite, lower, verify and measure them.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

DEVICE_HELP = "local, adb:NAME, ssh:user@host, an alias, or qemu[:CPU]."
Device = Annotated[str, typer.Option("--device", "-d", help=DEVICE_HELP)]
Json = Annotated[bool, typer.Option("--json", help="Print records as JSON instead of a table.")]


@app.command()
def models(
    pattern: Annotated[str, typer.Argument(help="Show only names that contain this.")] = "",
    as_json: Json = False,
) -> None:
    """List the zoo: size, published accuracy and time, licence, exports. One name alone: all that is known about it."""
    from edgedeploy.pipeline import models as listings

    from . import tables

    rows = listings.models(pattern)
    _emit(rows, as_json, tables.models)


@app.command()
def targets(as_json: Json = False) -> None:
    """List where a network can be lowered to: format, runtime, number formats, required parity, rewrites."""
    from edgedeploy.pipeline import models as listings

    from . import tables

    _emit(listings.targets(), as_json, tables.targets)


@app.command()
def weights(
    model: Annotated[str, typer.Argument(help="A name from `edgedeploy models`.")],
    as_json: Json = False,
) -> None:
    """Tell where a network's official weights are, their licence, and what was published for them."""
    from edgedeploy.core.storage.json_records import to_builtins
    from edgedeploy.models.loading.official_weights import official_weights

    from . import tables

    row = to_builtins(official_weights(model))
    row["published"] = [{k: v for k, v in p.items() if v not in (None, False)} for p in row["published"]]
    if as_json:
        print(json.dumps(row, indent=2))
    else:
        tables.weights(row)


@app.command()
def export(
    model: Annotated[
        str,
        typer.Argument(
            help="A name from `edgedeploy models`, file.py:factory, package.module:factory, timm:NAME, "
            "torchvision:NAME, or a .pt2 file."
        ),
    ],
    target: Annotated[str, typer.Option("--target", "-t", help="One or several of `edgedeploy targets`, with commas.")],
    weights: Annotated[
        str | None, typer.Option(help="A checkpoint (.pth, .safetensors), its address, or `official`. Default: random.")
    ] = None,
    input_size: Annotated[str | None, typer.Option(help="Height x width, such as 512x512.")] = None,
    input_shape: Annotated[
        list[str] | None,
        typer.Option("--input", help="What a network of your own takes: 1x3x224x224, ids=1x16:int64; may be repeated."),
    ] = None,
    num_classes: Annotated[int | None, typer.Option(min=1, help="Classes of a network with random weights.")] = None,
    head: Annotated[
        str, typer.Option(help="logits, upsampled or labels of pixels; features (four maps) of classifiers.")
    ] = "logits",
    calib: Annotated[Path | None, typer.Option(help="A folder of images for int8 ranges.")] = None,
    num_calib: Annotated[int, typer.Option(min=1, help="Use at most this many calibration images.")] = 32,
    int8_io: Annotated[bool, typer.Option("--int8-io", help="Static int8: inputs and outputs are int8 too.")] = False,
    allow_low_parity: Annotated[
        bool, typer.Option("--allow-low-parity", help="Keep an artifact that is below its target's floor.")
    ] = False,
    min_runtime: Annotated[
        str | None, typer.Option(help="tflite-2.14: refuse a tflite artifact that the old runtime cannot load.")
    ] = None,
    without_rewrite: Annotated[list[str] | None, typer.Option(help="Leave a rewrite out; may be repeated.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where artifacts go.")] = Path("artifacts"),
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what each rewrite did and declined.")] = False,
    as_json: Json = False,
) -> None:
    """Rewrite, lower and prove a network; write artifacts/MODEL/TARGET/."""
    from edgedeploy.models.loading.inputs import parse_size
    from edgedeploy.pipeline.export import export as run

    from . import tables
    from .progress import RichReporter

    artifacts = run(
        model,
        target,
        weights=weights,
        input_size=parse_size(input_size) if input_size else None,
        inputs=input_shape or [],
        num_classes=num_classes,
        head=head,
        calib=calib,
        num_calib=num_calib,
        int8_io=int8_io,
        allow_low_parity=allow_low_parity,
        min_runtime=min_runtime,
        without_rewrites=without_rewrite or [],
        output=output,
        reporter=RichReporter(verbose=verbose),
    )
    rows = [{"artifact": str(a.folder), **a.manifest.to_json()} for a in artifacts]
    _emit(rows, as_json, tables.artifacts)


@app.command()
def verify(
    artifact: Annotated[list[Path], typer.Argument(help="A folder, manifest or file of an artifact.")],
    device: Device = "local",
    threads: Annotated[int, typer.Option(min=1, help="Threads of the runtime.")] = 1,
    as_json: Json = False,
) -> None:
    """Run artifacts on their stored inputs and compare with the float network's outputs."""
    from edgedeploy.pipeline.verify import examine

    from . import tables
    from .progress import RichReporter

    with _unwinding():
        rows = [
            {
                "artifact": str(place),
                "output": index,
                **proved.parity.to_json(),
                "host_agreement": proved.host_agreement.to_json() if proved.host_agreement else None,
            }
            for place in artifact
            for index, proved in enumerate(
                examine(place, device=device, threads=threads, reporter=RichReporter(verbose=False))
            )
        ]
    _emit(rows, as_json, tables.parities)


@app.command()
def bench(
    artifact: Annotated[
        list[str] | None, typer.Argument(help="Artifacts, or models below ./artifacts. Default: all of them.")
    ] = None,
    device: Device = "local",
    threads: Annotated[str, typer.Option(help="One or several numbers, such as 1,2,4.")] = "1",
    warmup_runs: Annotated[int, typer.Option(help="Inferences before the first counted one.")] = 3,
    num_runs: Annotated[int, typer.Option(help="Least number of counted inferences.")] = 50,
    min_secs: Annotated[float, typer.Option(help="Measure at least this long.")] = 1.0,
    max_secs: Annotated[float, typer.Option(help="Measure at most this long.")] = 150.0,
    cores: Annotated[str, typer.Option(help="big, little, all, or a mask such as f0.")] = "all",
    max_start_temp: Annotated[
        float | None, typer.Option(metavar="°C", help="Wait before each row until the processor is cooler.")
    ] = None,
    cooldown: Annotated[float, typer.Option(min=0, metavar="SECS", help="Pause between two rows.")] = 0.0,
    runtime: Annotated[
        str | None, typer.Option(help="tflite-runtime: the old runtime 2.14 for tflite-* on this machine.")
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Run each row once more, for the time of each operator.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all samples there; - for stdout.")
    ] = None,
) -> None:
    """Measure artifacts in their real runtime, on this machine or on a device; qemu counts instructions."""
    from edgedeploy.core.measurement import measurements_to_json
    from edgedeploy.pipeline import bench as measuring

    from . import tables
    from .progress import RichReporter

    to_stdout = json_file is not None and str(json_file) == "-"
    made: list[Measurement] = []
    try:
        with _unwinding():
            measuring.bench(
                artifact or (),
                device=device,
                threads=_numbers(threads),
                warmup_runs=warmup_runs,
                num_runs=num_runs,
                min_secs=min_secs,
                max_secs=max_secs,
                cores=cores,
                max_start_temp=max_start_temp,
                cooldown=cooldown,
                runtime=runtime,
                profile=profile,
                json_file=None if to_stdout else json_file,
                reporter=RichReporter(verbose=False),
                into=made,
            )
    finally:  # what was measured is shown, whatever came after it
        if to_stdout:
            print(json.dumps(measurements_to_json(made, measuring.tool()), indent=2))
        elif made:
            tables.measurements(made)
            tables.profiles(made)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Show what is installed, what is missing, and what it is needed for."""
    from edgedeploy.pipeline.doctor import examine

    from . import tables

    findings = examine()
    _emit([finding.to_json() for finding in findings], as_json, tables.findings)
    if any(finding.ok is False for finding in findings if not finding.name.startswith("load")):
        raise typer.Exit(3)


@app.command()
def devices(as_json: Json = False) -> None:
    """List what --device takes: this machine, the phones that adb sees, and the names of edgedeploy.toml."""
    from edgedeploy.pipeline import devices as device_commands

    from . import tables
    from .progress import RichReporter

    _emit(device_commands.devices(RichReporter(verbose=False)), as_json, tables.devices)


@app.command()
def clean(
    device: Annotated[str, typer.Option("--device", "-d", help="Which device: adb:NAME, ssh:user@host, local.")],
) -> None:
    """Remove everything that edgedeploy has put on a device: runners, artifacts, work."""
    from edgedeploy.pipeline import devices as device_commands

    with _unwinding():
        gone = device_commands.clean(device)
    print(f"{len(gone)} files removed from {device}")


runner = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(runner, name="runner", help="Build the native program that measures on phones, boards and here.")


@runner.command("build")
def runner_build(
    abi: Annotated[str, typer.Option(help="arm64 or x86-64.")] = "arm64",
    as_json: Json = False,
) -> None:
    """Make a self-contained folder for each runtime; what is built already is kept."""
    from edgedeploy.pipeline import devices as device_commands

    from . import tables
    from .progress import RichReporter

    with _unwinding():
        rows = device_commands.build_runners(abi, RichReporter(verbose=False))
    _emit(rows, as_json, tables.bundles)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--threads takes whole numbers, not '{text}'", hint="--threads 1,2,4") from None


def _emit(rows: list[dict[str, Any]], as_json: bool, table: Any) -> None:
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        table(rows)


def _version(show: bool) -> None:
    if show:
        from edgedeploy import __version__

        print(f"edgedeploy {__version__}")
        raise typer.Exit


@app.callback()
def main_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an expected error too.")] = False,
) -> None:
    if debug:
        os.environ["EDGEDEPLOY_DEBUG"] = "1"


def _interrupted(number: int, _: object) -> None:
    """Ends at once. Converters swallow exceptions, and their threads crash when a process unwinds around them."""
    remove_unfinished()
    with contextlib.suppress(OSError):
        os.write(2, b"\ninterrupted; nothing half-written is left\n")
    os._exit(128 + number)


class Stopped(BaseException):
    """Ctrl-C or a request to end, for work that must clean up elsewhere. No error, so nothing takes it for one."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextlib.contextmanager
def _unwinding() -> Iterator[None]:
    """Lets an interruption unwind the block: a phone's processes, files and modes are put in order. A second one ends."""

    def stop(number: int, _: object) -> None:
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, _interrupted)
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    """Entry point: errors that a user can cause are said in two or three lines, with their exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    if "--debug" not in sys.argv:
        warnings.simplefilter("ignore")  # of the converters and torch, about themselves
    try:
        app()
    except EdgedeployError as error:
        if os.environ.get("EDGEDEPLOY_DEBUG"):
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Stopped as stopped:
        sys.stdout.flush()  # what was measured by then is printed
        _interrupted(stopped.number, None)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        from edgedeploy.core.storage.files import explain_os_error

        print(f"error: {explain_os_error(error)}", file=sys.stderr)
        sys.exit(3)


if __name__ == "__main__":
    main()
