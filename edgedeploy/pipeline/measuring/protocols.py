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
        keep_throttled: samples under throttling are kept; else they are taken again.
    """

    num_runs: int = 50
    min_secs: float = 1.0
    max_secs: float = 150.0
    launches: int = 3
    keep_throttled: bool = False


DEFAULT = Protocol()
# Many short launches instead of few long ones: a launch is one observation, and a block should see one machine.
INTERLEAVED = Protocol(num_runs=15, min_secs=0.2, launches=12)
# MLPerf's single stream: one query after the other, at least 1,024 of them and 60 seconds, judged by the 90th percentile
# (MLCommons, Inference: Mobile, results pages v0.7 to v3.1). Its accuracy run and its power rules are not part of this.
MLPERF = Protocol(num_runs=1024, min_secs=60.0, max_secs=3600.0, launches=1, keep_throttled=True)
SUSTAINED_MINUTES = 10.0

PROTOCOLS = {"default": DEFAULT, "mlperf": MLPERF}  # that `--protocol` takes, beside "sustained"


def protocol_of(name: str, minutes: float | None = None) -> Protocol:
    """The protocol of this name; `minutes` are those of "sustained". Raises UnknownName."""
    if name == "sustained":
        seconds = 60 * (minutes or SUSTAINED_MINUTES)
        return Protocol(num_runs=1, min_secs=seconds, max_secs=seconds, launches=1, keep_throttled=True)
    if name == "interleaved":
        return INTERLEAVED
    if name not in PROTOCOLS:
        names = (*PROTOCOLS, "sustained")
        raise UnknownName("protocol", name, names, hint=f"--protocol {'|'.join(names)}")
    return PROTOCOLS[name]
