"""A registry is a dict with a good error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from .errors import UnknownName

T = TypeVar("T")


def canonical(name: str) -> str:
    """The one spelling of a name: lower case, dashes for underscores."""
    return name.strip().lower().replace("_", "-")


class Registry(Generic[T]):
    """Named things in a fixed order; `_` and `-` in a name are the same.

    Args:
        kind: what the things are called in errors, such as "model".
        items: the things, in the order in which they are listed.
        name_of: gives a thing's name.
        hint: the command that lists them, shown when a name is unknown.
    """

    def __init__(self, kind: str, items: Iterable[T], name_of: Callable[[T], str], *, hint: str | None = None) -> None:
        self.kind, self.hint = kind, hint
        self._items: dict[str, T] = {}
        for item in items:
            key = canonical(name_of(item))
            if key in self._items:
                raise ValueError(f"two things of kind {kind} are called {key}")
            self._items[key] = item

    def __getitem__(self, name: str) -> T:
        try:
            return self._items[canonical(name)]
        except KeyError:
            raise UnknownName(self.kind, name, self._items, hint=self.hint) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and canonical(name) in self._items

    def __iter__(self) -> Iterator[T]:
        return iter(self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def names(self) -> list[str]:
        """All names, in listing order."""
        return list(self._items)
