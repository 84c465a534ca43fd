"""Damage to files, drawn by hypothesis: to their bytes, and to the values of a JSON text."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 1e308, -0.0]),
    st.floats(allow_nan=True, allow_infinity=True),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.text(max_size=6), st.sampled_from(["../x", "/etc", "\x1b[2J"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def damaged_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with one to four edits: some replaced, inserted, removed or repeated, or the rest cut off."""
    for _ in range(draw(st.integers(1, 4))):
        # most headers are short, and what follows them is long
        start = draw(st.integers(0, min(len(data), 256)) | st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 8)))
        match draw(st.sampled_from(["replace", "insert", "remove", "repeat", "cut"])):
            case "replace":
                new = draw(st.binary(min_size=end - start, max_size=end - start))
                data = data[:start] + new + data[end:]
            case "insert":
                data = data[:start] + draw(st.binary(max_size=8)) + data[start:]
            case "remove":
                data = data[:start] + data[end:]
            case "repeat":
                data = data[:end] + data[start:]
            case _:
                data = data[:start]
    return data


@st.composite
def damaged_json(draw: st.DrawFn, text: bytes) -> bytes:
    """A JSON text with one to three of its values replaced, removed or renamed."""
    value = json.loads(text)
    for _ in range(draw(st.integers(1, 3))):
        value = _with_one_change(draw, value)
    return json.dumps(value, indent=draw(st.sampled_from([None, 2]))).encode()


def _with_one_change(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, dict | list) and value and draw(st.integers(0, 9)):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = draw(st.sampled_from(keys))
        if not draw(st.integers(0, 9)):
            return {k: v for k, v in value.items() if k != key} if isinstance(value, dict) else value[:key]
        changed = dict(value) if isinstance(value, dict) else list(value)
        changed[key] = _with_one_change(draw, value[key])
        return changed
    return draw(VALUES)


def damaged(data: bytes, *, is_json: bool) -> st.SearchStrategy[bytes]:
    """Damage of all kinds to a valid file."""
    kinds = [damaged_bytes(data), st.binary(max_size=64)]
    return st.one_of(damaged_json(data), *kinds) if is_json else st.one_of(*kinds)
