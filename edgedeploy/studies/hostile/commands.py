"""Lines that work on the material, and what each may change in its folder."""

from __future__ import annotations

from dataclasses import dataclass

from .material import SHORT_BENCH


@dataclass(frozen=True)
class Line:
    """A command.

    Attributes:
        reads: files of the material that it reads; a try may damage one.
        writes: files and folders that it may change.
        weight: how often it is drawn, since some take long.
        needs_its_model: it must fail where the artifact's model is not the one that was exported.
    """

    arguments: tuple[str, ...]
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    weight: int = 3
    needs_its_model: bool = False


ONNX = tuple(f"art/small/onnx-fp32/{name}" for name in ("model.onnx", "manifest.json", "golden.npz", "operators.json"))
TFLITE = tuple(f"art/small/tflite-fp32/{name}" for name in ("model.tflite", "manifest.json", "golden.npz"))
IMAGES = ("images/a/0.png", "images/b/1.png", "images/c")
HISTORY = ("history", "history/local.jsonl", "base.json")
MODELS = ("model.onnx", "model.tflite")

LINES = (
    Line(("models",)),
    Line(("targets", "--json")),
    Line(("devices",)),
    Line(("doctor",), weight=1),
    Line(("weights", "topformer-tiny"), weight=1),
    Line(("verify", "art/small/onnx-fp32"), ONNX, needs_its_model=True),
    Line(("verify", "art", "--json"), (*ONNX, *TFLITE), needs_its_model=True),
    Line(("verify", "--layers", "art/small/onnx-fp32", "--model", "nets/net.py:small"), (*ONNX, "nets/net.py"), weight=1),
    Line(("explain", "art/small/tflite-fp32"), TFLITE, needs_its_model=True),
    Line(
        ("bench", "art/small/onnx-fp32", *SHORT_BENCH, "--json", "new.json"), ONNX, ("new.json",), needs_its_model=True
    ),
    Line(
        ("compare", "base.json", "head.json", "--store", "history"),
        ("base.json", "head.json", "edgedeploy.toml"), weight=6,
    ),
    Line(("report", "base.json", "--format", "markdown", "--output", "page.md"), ("base.json",), ("page.md",)),
    Line(
        ("report", "head.json", "--base", "base.json", "--format", "html", "-o", "page.html"),
        ("head.json",), ("page.html",), 2,
    ),
    Line(("report", "head.json", "--format", "junit"), ("head.json",)),
    Line(
        ("history", "add", "head.json", "--store", "history", "--revision", "abc"),
        ("head.json", *HISTORY), ("history",),
    ),
    Line(("history", "list", "--store", "history"), HISTORY),
    Line(("history", "query", "select count(*) from measurements", "--store", "history"), HISTORY),
    Line(
        ("evaluate", "art/small/onnx-fp32", "--data", "images", "--limit", "4"),
        (*ONNX, *IMAGES), ("art",), 2, needs_its_model=True,
    ),
    Line(
        ("export", "nets/net.py:small", "--input", "1x3x32x32", "--target", "onnx-int8", "--calib", "images",
         "--recipe", "recipe.toml", "--output", "out", "--allow-low-parity"),
        ("nets/net.py", "recipe.toml", *IMAGES), ("out",), 2,
    ),
)  # fmt: skip
