"""Kinds of names, and names of folders."""

from __future__ import annotations

import pytest

from edgedeploy.core.errors import UsageError
from edgedeploy.models.loading.names import parse_name, safe_name


@pytest.mark.parametrize(
    ("model", "kind", "source", "attribute"),
    [
        ("topformer-tiny", "zoo", "topformer-tiny", ""),
        ("net.py:make", "factory", "net.py", "make"),
        ("folder/net.py:Nets.small", "factory", "folder/net.py", "Nets.small"),
        ("package.net:make", "factory", "package.net", "make"),
        ("timm:tiny_net", "library", "timm", "tiny_net"),
        ("torchvision:resnet18", "library", "torchvision", "resnet18"),
        ("folder/net.pt2", "program", "folder/net.pt2", ""),
    ],
)
def test_a_name_is_taken_apart(model: str, kind: str, source: str, attribute: str) -> None:
    name = parse_name(model)
    assert (name.text, name.kind, name.source, name.attribute) == (model, kind, source, attribute)


def test_arguments_follow_a_question_mark() -> None:
    name = parse_name("timm:vit?img_size=96&scale=0.5&act=relu&windows=(2, 4)&bias=false&pos=none&label=a:b")
    assert (name.source, name.attribute) == ("timm", "vit")
    assert name.arguments == {
        "img_size": 96, "scale": 0.5, "act": "relu", "windows": (2, 4), "bias": False, "pos": None, "label": "a:b",
    }  # fmt: skip
    assert safe_name("timm", *parse_name("timm:vit?img_size=96").words) == "timm-vit-img-size-96"


@pytest.mark.parametrize("text", ["depth", "=4", "depth=4&depth=5", "4=depth", ""])
def test_arguments_that_are_none_are_explained(text: str) -> None:
    with pytest.raises(UsageError, match="is no argument") as caught:
        parse_name(f"net.py:make?{text}")
    assert "KEY=VALUE" in str(caught.value)


@pytest.mark.parametrize("model", ["net.py", "net.py:", ":make", "folder/net"])
def test_a_source_without_a_factory_is_an_error(model: str) -> None:
    with pytest.raises(UsageError, match="does not name what makes the network"):
        parse_name(model)


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("my_net", "Make"), "my-net-make"),
        (("../../etc", "a/b"), "etc-a-b"),
        (("..",), "network"),
        (("timm", "a.b_c"), "timm-a.b-c"),
    ],
)
def test_an_artifact_folder_has_a_safe_name(parts: tuple[str, ...], name: str) -> None:
    assert safe_name(*parts) == name
