"""torch's record of where a graph's nodes came from, shared instead of copied.

Every pass over a graph gives each new node a `NodeSource` with a deep copy of those of the node before. Chains grow by one
with each pass, and ExecuTorch makes hundreds: the copies were 18 % of an int8 export's processor time. Nothing changes a
record once it is made, so a shared one is as good; the files are the same to the bit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def provenance_shared() -> Iterator[None]:
    """A block in which a deep copy of a NodeSource is the NodeSource itself."""
    import torch.fx.traceback

    kind: Any = getattr(torch.fx.traceback, "NodeSource", None)
    if kind is None or hasattr(kind, "__deepcopy__"):  # another torch, or a block around this one
        yield
        return
    kind.__deepcopy__ = lambda source, memo: source
    try:
        yield
    finally:
        del kind.__deepcopy__
