"""The commands about devices and this machine: devices, clean, runner, doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from edgedeploy.cli.interrupts import unwinding
from edgedeploy.cli.options import JsonOption
from edgedeploy.cli.output import print_result

commands = typer.Typer()
runner = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
commands.add_typer(runner, name="runner")


@commands.command()
def doctor(as_json: JsonOption = False) -> None:
    """Check what is installed, and this machine.

    Shows packages and programs, what the missing ones are for, and the free memory, disk space and load.
    """
    from edgedeploy.cli.tables.devices import render_checks
    from edgedeploy.pipeline.doctor import any_failed, run_checks

    checks = run_checks()
    print_result(checks, render_checks, as_json=as_json)
    if any_failed(checks):
        raise typer.Exit(3)


@commands.command()
def devices(as_json: JsonOption = False) -> None:
    """List the devices that --device takes.

    These are this machine, the phones that adb sees, the aliases of edgedeploy.toml, and qemu.
    """
    from edgedeploy.cli.progress import RichReporter
    from edgedeploy.cli.tables.devices import render_devices
    from edgedeploy.pipeline.devices import list_devices

    print_result(list_devices(RichReporter()), render_devices, as_json=as_json)


@commands.command()
def clean(
    device: Annotated[
        str,
        typer.Option(
            "--device", "-d", metavar="DEVICE", help="local, adb:NAME, ssh:user@host, or an alias of edgedeploy.toml."
        ),
    ],
) -> None:
    """Remove all files of edgedeploy from a device.

    These are runners, artifacts and working files.
    """
    from edgedeploy.pipeline.clean import clean as run

    with unwinding():
        removed = run(device)
    print(f"{len(removed)} files removed from {device}")


@runner.callback()
def runner_group() -> None:
    """Build the native program that measures.

    It runs on phones, on boards and on this machine. `bench` builds it where it is missing.
    """


@runner.command("build")
def runner_build(
    abi: Annotated[str, typer.Option(metavar="ABI", help="arm64 for phones and boards, or x86-64.")] = "arm64",
    as_json: JsonOption = False,
) -> None:
    """Build a self-contained folder for each runtime.

    Those that are up to date are kept.
    """
    from edgedeploy.cli.progress import RichReporter
    from edgedeploy.cli.tables.devices import render_bundles
    from edgedeploy.pipeline.runner import build_runners

    with unwinding():
        bundles = build_runners(abi, RichReporter())
    print_result(bundles, render_bundles, as_json=as_json)
