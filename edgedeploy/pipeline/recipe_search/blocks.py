"""The modules of a network as a tree, from the paths of its operators."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


def is_within(path: str, block: str) -> bool:
    """Whether a module is a block or inside of it; the block "" is the whole network."""
    return not block or path == block or path.startswith(f"{block}.")


@dataclass(frozen=True)
class BlockTree:
    """Blocks by their paths; a block that holds nothing but one other is not listed, that one is."""

    paths: frozenset[str]

    def __init__(self, paths: Iterable[str]) -> None:
        object.__setattr__(self, "paths", frozenset(path for path in paths if path))

    def children(self, block: str) -> Sequence[str]:
        """The blocks directly inside of a block, sorted; empty for an innermost one."""
        inside = [path for path in self.paths if path != block and is_within(path, block)]
        depth = block.count(".") + 1 if block else 0
        found = sorted({".".join(path.split(".")[: depth + 1]) for path in inside})
        if len(found) == 1 and found[0] not in self.paths:
            return self.children(found[0])
        return [self._narrowed(child) for child in found]

    def _narrowed(self, block: str) -> str:
        """The innermost block with the same operators."""
        while block not in self.paths:
            depth = block.count(".") + 2
            inner = {".".join(path.split(".")[:depth]) for path in self.paths if is_within(path, block)}
            if len(inner) != 1:
                break
            block = inner.pop()
        return block
