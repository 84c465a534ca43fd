"""Where official weights are."""

from __future__ import annotations

import pytest

from edgedeploy.core.errors import UsageError
from edgedeploy.core.spec import ModelSpec
from edgedeploy.core.storage.json_records import decode, encode
from edgedeploy.models.loading.names import parse_name
from edgedeploy.models.loading.official_weights import OfficialWeights, official_weights, weights_file
from edgedeploy.models.zoo import ZOO


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("topformer-tiny", "a web page of Google Drive"),
        ("conv2former-n", "a web page of Baidu"),
        ("xformer", "has no official weights to download"),
        ("net.py:make", "no official weights that are known"),
    ],
)
def test_official_weights_that_cannot_be_downloaded_are_explained(model: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        weights_file("official", parse_name(model))


@pytest.mark.parametrize("spec", ZOO, ids=str)
def test_every_variant_has_a_record(spec: ModelSpec) -> None:
    record = official_weights(spec.name)
    assert record.licence_weights
    assert record.how
    assert bool(record.address) == ("there are none" not in record.how)
    assert record.input_shape == (1, 3, *spec.input_size)


@pytest.mark.parametrize("spec", ZOO, ids=str)
def test_every_record_has_published_figures(spec: ModelSpec) -> None:
    assert official_weights(spec.name).published


def test_the_record_is_json() -> None:
    record = official_weights("edgenext-xx-small")
    assert decode(encode(record), OfficialWeights) == record


def test_a_library_gets_its_own_weights() -> None:
    assert weights_file("official", parse_name("timm:tiny_net")) is None
