"""A small project of a user, in a folder: what the tried commands work on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

from edgedeploy.core.child_processes import SEARCH_PATH, child_environment, module_command

# Modules of these names lie in the user's folder. None of ours may import them: each leaves a file when it is.
TRAPS = ("platform", "ctypes", "json", "torch", "numpy", "random")
MARK = "imported"

NETWORK = """
from torch import nn


def small():
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
"""

RECIPE = """
name = "careful"
format = "static_int8"

[[rules]]
operator = "aten.linear.default"
format = "float32"
"""

SHORT_BENCH = ("--launches", "1", "--num-runs", "5", "--min-secs", "0.02")


def make(folder: Path) -> None:
    """Fills an empty folder. Raises CalledProcessError where a command fails that must work."""
    (folder / "nets").mkdir()  # beside the traps and not among them: what a user's file imports is the user's choice
    (folder / "nets" / "net.py").write_text(NETWORK)
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "edgedeploy.toml").write_text('[budgets]\n"small/onnx-fp32" = "size <= 2 MiB"\n')
    rng = np.random.default_rng(0)
    for label in "abcd":
        (folder / "images" / label).mkdir(parents=True)
        for index in range(2):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / label / f"{index}.png")
    _run(
        folder, "export", "nets/net.py:small", "--input", "1x3x32x32", "--target", "onnx-fp32,tflite-fp32", "-o", "art"
    )
    for name in ("base", "head"):
        _run(folder, "bench", "art", *SHORT_BENCH, "--json", f"{name}.json")
        _run(folder, "history", "add", f"{name}.json", "--revision", name)
    for name in TRAPS:
        (folder / f"{name}.py").write_text(f"open({MARK!r}, 'a').write(__name__)\n")


def _run(folder: Path, *arguments: str) -> None:
    """Runs one of our commands in a folder."""
    environment = {**child_environment(), "XDG_CACHE_HOME": str(folder.parent / "cache"), "LC_ALL": "C.UTF-8"}
    command = module_command("edgedeploy", *arguments)
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def environment_of(sandbox: Path) -> dict[str, str]:
    """What a tried command sees: nothing of this user's but the search path."""
    kept = ("PATH", SEARCH_PATH, "ORT_DISABLE_TELEMETRY")
    return {
        **{name: value for name, value in child_environment().items() if name in kept},
        "HOME": str(sandbox / "home"),
        "XDG_CACHE_HOME": str(sandbox / "cache"),
        "TMPDIR": str(sandbox / "tmp"),
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
    }
