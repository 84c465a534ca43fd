"""Which cores a run is bound to."""

from __future__ import annotations

from collections.abc import Sequence

from edgedeploy.core.device import Core
from edgedeploy.core.errors import UsageError


def core_mask(cores: Sequence[Core], wanted: str) -> int | None:
    """Affinity mask for "big", "little", "all" or a hexadecimal mask such as "f0" or "0xf0", lowest bit for core 0.

    None for "all", and where the device does not report its cores' clock frequencies. Big cores are those with the highest
    maximum frequency, little ones those with the lowest: on a phone of three kinds the middle ones are neither. On a
    device of one kind all cores are big and none is little. Raises UsageError.
    """
    if wanted == "all":
        return None
    if wanted not in ("big", "little"):
        return _explicit_mask(cores, wanted)
    frequencies = [core.max_khz for core in cores if core.max_khz is not None]
    if not frequencies or len(frequencies) < len(cores):
        return None
    chosen = max(frequencies) if wanted == "big" else min(frequencies)
    if wanted == "little" and len(set(frequencies)) == 1:
        raise UsageError("this device has no little cores: all have the same maximum frequency", hint="--cores all")
    return sum(1 << core.number for core in cores if core.max_khz == chosen)


def _explicit_mask(cores: Sequence[Core], wanted: str) -> int:
    try:
        mask = int(wanted, 16)
    except ValueError:
        raise UsageError(f"--cores {wanted}: neither big, little, all nor a hexadecimal mask such as f0") from None
    available = sum(1 << core.number for core in cores)
    if mask <= 0 or mask & ~available:
        raise UsageError(f"--cores {wanted}: this device has cores {', '.join(str(core.number) for core in cores)}")
    return mask
