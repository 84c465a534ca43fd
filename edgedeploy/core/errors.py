"""Every error that edgedeploy raises on purpose.

    EdgedeployError
    ├── UsageError                 2  what was asked for cannot be, as it was asked
    │   ├── UnknownName            2  no such model, target, rewrite ...; the message has the nearest names
    │   ├── InputSizeRefused       2  the network cannot take this input size
    │   ├── WeightsInvalid         2  a checkpoint that is missing, damaged, or of another network
    │   ├── CalibrationInvalid     2  too few usable images
    │   ├── RecipeInvalid          2  a recipe that cannot be read, or that a runtime cannot follow
    │   ├── ModelInvalid           2  a network of the user's that cannot be built or run
    │   ├── ArtifactInvalid        2  a file that is not what its manifest says
    │   ├── ResultsInvalid         2  a result file that is damaged, foreign, or of a newer version
    │   ├── ContextsDiffer         2  measurements that cannot be compared
    │   └── MissingExtra           2  an optional package is not installed
    ├── ParityFailed               1  the artifact computes something else than the network
    ├── RewriteMismatch            1  a rewrite changed the outputs: a bug, and the export stops
    ├── ExportFailed               3  a converter gave up
    ├── OutputFailed               3  the disk is full, or the folder cannot be written
    ├── RunnerFailed               3  an artifact could not be run
    ├── Regression                 1  a comparison found something slower, larger or less exact than allowed
    ├── NotTrustworthy             4  a measurement that says nothing, while one was required that does
    └── DeviceError                3  a device that is missing, lost or unfit
        ├── NoDevice               3  none is there, several are, or the one that is there refuses the login
        ├── DeviceLost             3  it went away while something was being done
        ├── DeviceBusy             3  somebody else measures on it; the holder is named
        ├── DeviceFull             3  no space is left on it
        └── DeviceTooHot           3  it did not cool down in time

`RewriteRefused` is not a failure: a rewrite's check raises it with the reason why it does not apply to an operator.

The number is the exit code of the command line. An error says what failed, then `details` (where and why), then `hint`
(what to do next), each in the user's words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Self

# What would move a terminal's cursor, change its colours, or turn the direction of writing; and halves of characters.
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its class where it says nothing."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def visible(text: str, *, keep: str = "") -> str:
    """Text from outside, such as a file's or a device's name, as it may be shown: control characters are escaped.

    Args:
        keep: control characters that stay, such as the line end of a text of several lines.
    """
    return UNSEEN.sub(lambda found: found[0] if found[0] in keep else found[0].encode("unicode_escape").decode(), text)


class EdgedeployError(Exception):
    """Base of all errors that a user can cause or meet; never shown with a traceback.

    Args:
        message: one line, what failed.
        details: further lines, where and why.
        hint: what to try next.

    Attributes:
        completed: what the same call did finish, in the order of its return value: artifacts of an export, measurements
            of a bench.
    """

    exit_code = 3
    completed: tuple[Any, ...] = ()

    def __init__(self, message: str, *, details: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(visible(message))
        self.message = visible(message)
        self.details = tuple(visible(line) for line in details)
        self.hint = None if hint is None else visible(hint)

    def with_completed(self, completed: Iterable[Any]) -> Self:
        """This error, which carries what was finished all the same."""
        self.completed = tuple(completed)
        return self

    def __str__(self) -> str:
        lines = [self.message, *(f"  {line}" for line in self.details)]
        if self.hint:
            lines.append(f"  try: {self.hint}")
        return "\n".join(lines)


def combined(failures: Mapping[str, EdgedeployError], message: str) -> EdgedeployError:
    """One error for several, by what failed: the only one itself, else with the exit code of the most serious."""
    if len(failures) == 1:
        return next(iter(failures.values()))
    details = [f"{name}: {line}" for name, error in failures.items() for line in str(error).splitlines()]
    error = EdgedeployError(message, details=details)
    error.exit_code = max(failure.exit_code for failure in failures.values())
    return error


class UsageError(EdgedeployError):
    """What was asked for cannot be done as asked."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that is in no registry. The message has the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str | None = None) -> None:
        self.kind, self.name = kind, name
        self.near = get_close_matches(name, list(known), n=3, cutoff=0.6)
        question = f". Did you mean {' or '.join(repr(near) for near in self.near)}?" if self.near else ""
        super().__init__(f"unknown {kind} '{name}'{question}", hint=hint)


class InputSizeRefused(UsageError):
    """The network cannot take this input size."""


class WeightsInvalid(UsageError):
    """A checkpoint that is missing, damaged, or made for another network."""


class CalibrationInvalid(UsageError):
    """Not enough usable calibration images."""


class RecipeInvalid(UsageError):
    """A recipe that is not one, or that asks a runtime for what it does not have."""


class ModelInvalid(UsageError):
    """A network of the user's that cannot be found, built or run."""


class ArtifactInvalid(UsageError):
    """An artifact that is incomplete, or not the file that its manifest describes."""


class ResultsInvalid(UsageError):
    """A result file that is missing, damaged, of something else, or of a newer edgedeploy."""


class ContextsDiffer(UsageError):
    """Measurements on different devices or under different conditions, which cannot be compared."""


class MissingExtra(UsageError):
    """An optional package is not installed."""

    def __init__(self, extra: str, missing: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{missing}', which is not installed",
            hint=f"pip install 'edgedeploy[{extra}]'",
        )


class RewriteRefused(Exception):
    """Raised by a rewrite's check, with the reason why it does not apply to an operator."""


class RewriteMismatch(EdgedeployError):
    """A rewrite changed what the network computes by more than it promised."""

    exit_code = 1


class ParityFailed(EdgedeployError):
    """The artifact's outputs are further from the network's than its target allows."""

    exit_code = 1


class ExportFailed(EdgedeployError):
    """A converter could not lower the network."""


class OutputFailed(EdgedeployError):
    """A file could not be written."""


class RunnerFailed(EdgedeployError):
    """An artifact could not be loaded or run."""


class Regression(EdgedeployError):
    """A comparison found a regression."""

    exit_code = 1


class NotTrustworthy(EdgedeployError):
    """A measurement is not trustworthy, and one that is was required."""

    exit_code = 4


class DeviceError(EdgedeployError):
    """A device is missing, lost, or unfit for measuring."""


class NoDevice(DeviceError):
    """No device answers to what was asked for, or several do."""


class DeviceLost(DeviceError):
    """The device went away while something was being done on it."""


class DeviceBusy(DeviceError):
    """Somebody else holds the device's lock."""


class DeviceFull(DeviceError):
    """No space is left on the device."""


class DeviceTooHot(DeviceError):
    """The device did not reach its start temperature in time."""
