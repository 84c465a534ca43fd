"""Small real models of every runtime, made once for all workers, and what Python's own runtimes make of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgedeploy.android_harness.cache import locked

from . import tiny_models


@pytest.fixture(scope="session", params=tiny_models.RUNTIMES)
def artifact(request, tmp_path_factory) -> tiny_models.Artifact:
    """A float convolution and a mean, in each runtime's format."""
    return _made(request.param, tmp_path_factory)


@pytest.fixture(scope="session")
def onnx_artifact(tmp_path_factory) -> tiny_models.Artifact:
    return _made("onnxruntime", tmp_path_factory)


@pytest.fixture(scope="session")
def litert_artifact(tmp_path_factory) -> tiny_models.Artifact:
    return _made("litert", tmp_path_factory)


@pytest.fixture(scope="session")
def int8_artifact(tmp_path_factory) -> tiny_models.Artifact:
    """An int8 convolution whose input and output are int8, and a second input of int64."""
    return _made("onnxruntime-int8", tmp_path_factory)


def _made(name: str, tmp_path_factory: pytest.TempPathFactory) -> tiny_models.Artifact:
    base = tmp_path_factory.getbasetemp()
    folder: Path = (base.parent if "popen-gw" in base.name else base) / f"tiny-{name}"
    with locked(folder):
        if not (folder / "done").exists():
            folder.mkdir(exist_ok=True)
            made = tiny_models.make(name, folder)
            np.savez(folder / "inputs.npz", *made.inputs)
            np.savez(folder / "outputs.npz", *made.outputs)
            (folder / "done").touch()
    inputs, outputs = (list(np.load(folder / f"{kind}.npz").values()) for kind in ("inputs", "outputs"))
    return tiny_models.Artifact(name.removesuffix("-int8"), tiny_models.path_of(name, folder), inputs, outputs)
