"""Checkpoints of every shape that they come in, and every way in which they can be wrong."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from edgedeploy.core.errors import WeightsInvalid
from edgedeploy.core.storage.files import sha256_of
from edgedeploy.models.loading.checkpoints import build_with_weights, load_checkpoint
from edgedeploy.models.loading.random_weights import randomize
from edgedeploy.models.zoo import ZOO

SEGMENTATION, CLASSIFICATION = ZOO["topformer-tiny"], ZOO["topformer-tiny-cls"]


def state_of(name: str, num_classes: int | None = None) -> dict[str, Tensor]:
    return randomize(ZOO[name], seed=3, num_classes=num_classes).state_dict()


def saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return state_of("topformer-tiny")


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda s: s, id="plain"),
        pytest.param(lambda s: {"meta": {"epoch": 1}, "state_dict": s, "optimizer": {}}, id="mmcv"),
        pytest.param(lambda s: {"state_dict_ema": s, "state_dict": {k: v * 0 for k, v in s.items()}}, id="ema_first"),
        pytest.param(lambda s: {f"module.{k}": v for k, v in s.items()}, id="data_parallel"),
        pytest.param(lambda s: {k: v for k, v in s.items() if "num_batches" not in k}, id="without_counters"),
        pytest.param(lambda s: s | {"auxiliary_head.conv_seg.weight": torch.zeros(1)}, id="with_auxiliary_head"),
    ],
)
def test_what_training_wraps_around_the_weights_comes_off(wrap, state: dict[str, Tensor], tmp_path: Path) -> None:
    module, _ = build_with_weights(SEGMENTATION, saved(wrap(state), tmp_path / "c.pth"))
    assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items() if "num_batches" not in k)
    assert not module.training


def test_safetensors_are_read(state: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(state, tmp_path / "c.safetensors")
    module, _ = build_with_weights(SEGMENTATION, tmp_path / "c.safetensors")
    assert torch.equal(module.state_dict()["decode_head.conv_seg.bias"], state["decode_head.conv_seg.bias"])


def test_a_classifier_inside_an_mmseg_prefix_is_found(tmp_path: Path) -> None:
    state = state_of("topformer-tiny-cls")
    path = saved({f"backbone.{k}": v for k, v in state.items()}, tmp_path / "c.pth")
    assert build_with_weights(CLASSIFICATION, path)[1].num_classes == 1000


def test_a_dense_fuse_convolution_is_chosen_by_its_shape(state: dict[str, Tensor], tmp_path: Path) -> None:
    dense = state | {"decode_head.linear_fuse.conv.weight": torch.randn(128, 128, 1, 1)}
    module, _ = build_with_weights(SEGMENTATION, saved(dense, tmp_path / "c.pth"))
    assert module.state_dict()["decode_head.linear_fuse.conv.weight"].shape == (128, 128, 1, 1)


@pytest.mark.parametrize("classes", [19, 60])
def test_another_class_count_adapts_the_head(classes: int, tmp_path: Path) -> None:
    path = saved(state_of("topformer-tiny", classes), tmp_path / "c.pth")
    module, info = build_with_weights(SEGMENTATION, path)
    assert info.num_classes == classes
    with torch.no_grad():
        assert module(torch.zeros(1, 3, 64, 64)).shape == (1, classes, 8, 8)


def test_a_class_count_that_contradicts_the_file_is_an_error(state: dict[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(WeightsInvalid, match="has 150 classes, not 19"):
        build_with_weights(SEGMENTATION, saved(state, tmp_path / "c.pth"), num_classes=19)


def test_missing_unexpected_and_misshapen_keys_are_named(state: dict[str, Tensor], tmp_path: Path) -> None:
    broken = dict(state)
    del broken["backbone.tpm.stem.0.c.weight"]
    broken["backbone.extra"] = torch.zeros(1)
    broken["backbone.tpm.stem.0.bn.weight"] = torch.zeros(7)
    with pytest.raises(WeightsInvalid) as caught:
        build_with_weights(SEGMENTATION, saved(broken, tmp_path / "c.pth"))
    text = str(caught.value)
    assert "1 missing in the file: backbone.tpm.stem.0.c.weight" in text
    assert "1 unexpected in the file: backbone.extra" in text
    assert "backbone.tpm.stem.0.bn.weight: [7] in the file, [16] in the network" in text


def test_weights_of_another_variant_are_refused(tmp_path: Path) -> None:
    path = saved(state_of("topformer-small"), tmp_path / "c.pth")
    with pytest.raises(WeightsInvalid, match="does not fit topformer-tiny"):
        build_with_weights(SEGMENTATION, path)


@pytest.mark.parametrize("content", [b"", b"no pickle at all", bytes(range(256)) * 10], ids=["empty", "text", "noise"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_is_an_error_with_a_message(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"c{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsInvalid, match="cannot be read"):
        load_checkpoint(path)


def test_a_file_that_is_cut_short_is_an_error_with_a_message(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = saved(state, tmp_path / "c.pth")
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(WeightsInvalid, match="cannot be read as a checkpoint"):
        load_checkpoint(path)


class RunsCode:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(
    "save", [torch.save, lambda o, p: Path(p).write_bytes(pickle.dumps(o))], ids=["torch", "pickle"]
)
def test_a_checkpoint_cannot_run_code(save, tmp_path: Path) -> None:
    save({"state_dict": RunsCode(tmp_path / "touched")}, tmp_path / "c.pth")
    with pytest.raises(WeightsInvalid):
        load_checkpoint(tmp_path / "c.pth")
    assert not (tmp_path / "touched").exists()


def test_a_missing_file_names_the_checkpoints_beside_it(tmp_path: Path) -> None:
    (tmp_path / "right.pth").write_bytes(b"")
    with pytest.raises(WeightsInvalid, match=r"right\.pth"):
        load_checkpoint(tmp_path / "wrong.pth")


def test_the_record_names_the_file_the_wrapper_and_the_hash(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = saved({"state_dict": state}, tmp_path / "c.pth")
    _, info = build_with_weights(SEGMENTATION, path)
    assert (info.kind, info.file, info.wrapper) == ("checkpoint", str(path), "state_dict")
    assert (info.num_classes, info.sha256) == (150, sha256_of(path))


def test_a_checkpoint_decides_the_kernel_of_conv2former(tmp_path: Path) -> None:
    state = state_of("conv2former-n")
    wider = {key: torch.zeros(*v.shape[:2], 11, 11) if key.endswith("att.2.weight") else v for key, v in state.items()}
    module, _ = build_with_weights(ZOO["conv2former-n"], saved(wider, tmp_path / "c.pth"))
    assert module.state_dict()["stages.0.0.attn.att.2.weight"].shape[-1] == 11
