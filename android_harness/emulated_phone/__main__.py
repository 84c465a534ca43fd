"""`python -m edgedeploy.android_harness.emulated_phone build | start | stop | status`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgedeploy.core.errors import EdgedeployError

from .build import build_emulated_phone
from .phone import DEFAULT_CPU, EmulatedPhoneOptions, running_emulated_phones, start_emulated_phone


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.command == "build":
            print(build_emulated_phone(lambda line: print(line, file=sys.stderr)))
        elif chosen.command == "start":
            options = EmulatedPhoneOptions(
                cpu=chosen.cpu,
                properties=dict(item.partition("=")[::2] for item in chosen.property),
                storage=chosen.storage,
                data=chosen.data,
                noexec=chosen.noexec,
            )
            phone = start_emulated_phone(chosen.port, options)
            print(phone.address)
            print(f"try: edgedeploy devices, or --device adb:{phone.address}", file=sys.stderr)
        elif chosen.command == "stop":
            return _stop(chosen.port)
        else:
            for phone in running_emulated_phones():
                print(f"{phone.address}\tpid {phone.pid}\t{phone.cpu}\t{phone.folder}")
    except EdgedeployError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _stop(port: int | None) -> int:
    phones = [phone for phone in running_emulated_phones() if port in (None, phone.port)]
    for phone in phones:
        phone.stop()
        print(f"stopped {phone.address}", file=sys.stderr)
    if not phones:
        print("error: no emulated phone runs" + (f" on port {port}" if port else ""), file=sys.stderr)
    return 0 if phones else 3


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m edgedeploy.android_harness.emulated_phone", description="An emulated phone."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="compile it, about a minute; later builds come from the cache")
    start = commands.add_parser("start", help="start one on a loopback port and print its address")
    start.add_argument("--port", type=int, default=0, help="default: a free one")
    start.add_argument("--cpu", default=DEFAULT_CPU, help="QEMU's name of the core (default: %(default)s)")
    start.add_argument("--property", action="append", default=[], metavar="NAME=VALUE", help="for getprop; repeatable")
    start.add_argument("--storage", default="2G", help="size of /data/local/tmp, a tmpfs (default: %(default)s)")
    start.add_argument("--data", type=Path, help="a folder that is /data/local/tmp and outlives the phone")
    start.add_argument("--noexec", action="store_true", help="programs in /data/local/tmp may not be run")
    stop = commands.add_parser("stop", help="stop all, or the one on --port")
    stop.add_argument("--port", type=int)
    commands.add_parser("status", help="list those that run")
    return parser


if __name__ == "__main__":
    sys.exit(main())
