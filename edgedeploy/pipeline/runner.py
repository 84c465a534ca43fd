"""runner: build the native program that measures on phones, on boards and on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from edgedeploy.core.errors import UsageError
from edgedeploy.core.reporter import NullReporter, Reporter


@dataclass(frozen=True)
class RunnerBundle:
    """The runner with the libraries of one runtime, in a folder that a device can run it from."""

    runtime: str
    version: str
    abi: str
    size_bytes: int
    folder: str


def build_runners(abi: str = "arm64", reporter: Reporter | None = None) -> list[RunnerBundle]:
    """Builds the runner's bundle for each runtime; those that are up to date are kept.

    Raises UsageError for an unknown ABI, MissingExtra, or RunnerFailed with what to install.
    """
    from edgedeploy.android_harness.bundles import build_bundle
    from edgedeploy.android_harness.toolchain import ABIS
    from edgedeploy.core.backends import BACKENDS

    if abi not in ABIS:
        raise UsageError(f"unknown ABI '{abi}'", hint=f"--abi {' or '.join(ABIS)}")
    reporter = reporter or NullReporter()
    rows = []
    for backend in BACKENDS:
        with reporter.stage(f"build the {backend.runtime} runner for {abi}"):
            bundle = build_bundle(backend.runtime, abi)
        size = sum(file.stat().st_size for file in bundle.files())
        rows.append(RunnerBundle(bundle.runtime, bundle.version, bundle.abi, size, str(bundle.folder)))
    return rows
