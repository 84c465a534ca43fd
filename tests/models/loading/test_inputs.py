"""What a network takes, as typed and as its source describes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedeploy.core.errors import UsageError
from edgedeploy.models.loading.inputs import parse_input

from .user_nets import NET, load


@pytest.mark.parametrize("text", ["", "3x", "1x3x2.5", "1x16:complex64", "a b=1x3", "-1x3"])
def test_an_input_that_cannot_be_read_shows_valid_ones(text: str) -> None:
    with pytest.raises(UsageError, match="is no input"):
        parse_input(text)


def test_an_input_has_a_name_a_shape_and_a_type() -> None:
    spec = parse_input("tokens=1x16:int64")
    assert (spec.name, spec.shape, spec.dtype) == ("tokens", (1, 16), "int64")
    assert parse_input("1x3x224x224").dtype == "float32"


def test_an_input_that_no_memory_holds_is_refused(here: Path) -> None:
    with pytest.raises(UsageError, match="has 3,000,000,000,000 elements"):
        load("net.py:small", inputs=("1x3x1000000x1000000",))


def test_an_input_size_changes_the_example_of_an_image_network(here: Path) -> None:
    (here / "sized.py").write_text(NET + "\n\ndef sized():\n    return small(), torch.zeros(1, 3, 64, 64)\n")
    assert load("sized.py:sized").image_size == (64, 64)
    assert load("sized.py:sized", input_size=(32, 48)).image_size == (32, 48)
    with pytest.raises(UsageError, match="one RGB image"):
        load("net.py:two", input_size=(32, 32))


def test_zoo_networks_take_an_input_size_and_not_an_input() -> None:
    with pytest.raises(UsageError, match="networks of your own") as caught:
        load("topformer-tiny", inputs=("1x3x64x64",))
    assert "--input-size" in str(caught.value)
