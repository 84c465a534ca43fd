from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy.core.errors import UsageError
from edgedeploy.pipeline.explain import explain


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("net.tflite", b"\x1c\0\0\0TFL3", "cannot be read as a .tflite file"),
        ("net.onnx", b"\x08\x0a\x12\xff", "cannot be read as a .onnx file"),
        ("net.onnx", b"", "has no operators"),
    ],
)
def test_a_damaged_file_is_told(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=words):
        explain(str(tmp_path / name))
