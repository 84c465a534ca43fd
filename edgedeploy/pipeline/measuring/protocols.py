"""How long a row is measured, where nobody says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from edgedeploy.core.errors import UnknownName


@dataclass(frozen=True)
class Protocol:
    """The length of a measurement.

    Attributes:
        num_runs, min_secs, max_secs: in each launch at least so many inferences, at least and at most so long.
        launches: of the runner.
    """

    num_runs: int = 50
    min_secs: float = 1.0
    max_secs: float = 150.0
    launches: int = 3


DEFAULT = Protocol()
# Many short launches instead of few long ones: a launch is one observation, and a block should see one machine.
INTERLEAVED = Protocol(num_runs=15, min_secs=0.2, launches=12)

PROTOCOLS = {"default": DEFAULT, "interleaved": INTERLEAVED}


def protocol_of(name: str) -> Protocol:
    """The protocol of this name. Raises UnknownName."""
    if name not in PROTOCOLS:
        raise UnknownName("protocol", name, PROTOCOLS, hint=f"--protocol {'|'.join(PROTOCOLS)}")
    return PROTOCOLS[name]
