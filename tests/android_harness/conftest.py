"""Small real models of every runtime with the outputs of the Python runtimes, made once for all workers."""

from __future__ import annotations

import pytest

from . import tiny_models


@pytest.fixture(scope="session", params=tiny_models.RUNTIMES)
def artifact(request, tmp_path_factory) -> tiny_models.Artifact:
    """A float convolution and a mean, in each runtime's format."""
    return tiny_models.once(request.param, tmp_path_factory)


@pytest.fixture(scope="session")
def onnx_artifact(tmp_path_factory) -> tiny_models.Artifact:
    return tiny_models.once("onnxruntime", tmp_path_factory)


@pytest.fixture(scope="session")
def litert_artifact(tmp_path_factory) -> tiny_models.Artifact:
    return tiny_models.once("litert", tmp_path_factory)


@pytest.fixture(scope="session")
def int8_artifact(tmp_path_factory) -> tiny_models.Artifact:
    """An int8 convolution whose input and output are int8, and a second input of int64."""
    return tiny_models.once("onnxruntime-int8", tmp_path_factory)
