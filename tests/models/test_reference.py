"""Every variant against its original: keys, shapes, counts, and outputs under the references' weight rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.core.spec import ModelSpec
from edgedeploy.models.macs import count_macs
from tests.models.families import SPECS, named, reference_name
from tests.models.reference import golden_input, largest_error, read, seeded

TOLERANCE = 1e-4  # of the reference output's standard deviation
WITH_ORIGINAL = tuple(spec for spec in SPECS if spec.family != "xformer")  # XFormer has no public original
BIG = 30_000_000  # parameters; beyond, outputs are compared in the long run only


def on_meta(spec: ModelSpec) -> nn.Module:
    """The variant without storage: enough for keys, shapes and counts."""
    with torch.device("meta"):
        return spec.build()


def goldens(spec: ModelSpec) -> list[dict[str, Any]]:
    return [e for e in read(spec.family, "goldens")["entries"] if e["variant"] == reference_name(spec)]


@pytest.mark.parametrize("spec", WITH_ORIGINAL, ids=str)
def test_state_dict_is_that_of_the_original_in_its_order(spec: ModelSpec) -> None:
    ours = [[key, list(t.shape), str(t.dtype).removeprefix("torch.")] for key, t in on_meta(spec).state_dict().items()]
    assert ours == read(spec.family, f"{reference_name(spec)}.state_dict")


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_parameter_count_is_exact(spec: ModelSpec) -> None:
    assert sum(p.numel() for p in on_meta(spec).parameters()) == spec.parameters


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_macs_at_the_default_input_are_those_of_the_spec(spec: ModelSpec) -> None:
    assert count_macs(on_meta(spec), (torch.empty(spec.input_shape(), device="meta"),)) == spec.macs


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("edgenext-xx-small", 197_497_958),
        ("edgenext-x-small", 408_270_272),
        ("edgenext-small", 959_579_156),
        ("edgenext-base", 2_931_176_294),
        ("edgenext-xx-small-bn-hs", 197_497_958),
    ],
)
def test_edgenext_macs_at_224_are_those_of_the_original(name: str, macs: int) -> None:
    assert count_macs(on_meta(named(name)), (torch.empty(1, 3, 224, 224, device="meta"),)) == macs


@pytest.mark.parametrize(
    ("name", "macs"), [("edgevit-xxs", 725_181_696), ("edgevit-xs", 1_479_490_560), ("edgevit-s", 2_507_799_552)]
)
def test_edgevit_macs_at_256_are_those_of_the_original(name: str, macs: int) -> None:
    assert count_macs(on_meta(named(name)), (torch.empty(1, 3, 256, 256, device="meta"),)) == macs


def test_swin_macs_with_padded_windows_are_those_of_the_original() -> None:
    assert count_macs(on_meta(named("swin-tiny")), (torch.empty(1, 3, 256, 320, device="meta"),)) == 8_484_919_296


def run_and_look_inside(network: nn.Module, entry: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """The output for a golden's input, and what came out of the modules that it names as probes."""
    inner: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, inputs: Any, output: Any) -> None:
            path, _, index = name.partition("[")  # `tpm[2]` is the third output of `tpm`
            value = inputs[0] if path.endswith("ppa") else output
            inner[name] = value[int(index.rstrip("]"))] if index else value

        return hook

    def module_of(name: str) -> nn.Module:
        # TopFormer's pooling has no module of its own: it is what the transformer is given
        return network.get_submodule(name.partition("[")[0].replace("ppa", "trans"))

    names = [probe["name"] for probe in entry.get("probes", ())]
    hooks = [module_of(name).register_forward_hook(keep(name)) for name in names]
    output = network(golden_input(entry["input"]))
    for hook in hooks:
        hook.remove()
    return output, inner


def _golden_cases() -> list[Any]:
    cases = []
    for spec in WITH_ORIGINAL:
        marks = [pytest.mark.slow] if spec.parameters > BIG else []
        cases.append(pytest.param(spec, id=spec.name, marks=marks))
    return cases


@pytest.mark.parametrize("spec", _golden_cases())
@torch.no_grad()
def test_outputs_and_inner_maps_are_those_of_the_original(spec: ModelSpec) -> None:
    entries = goldens(spec)
    assert entries, f"no golden for {spec}"
    network = seeded(spec.build())
    for entry in entries:
        output, inner = run_and_look_inside(network, entry)
        assert largest_error(entry["output"], output) < TOLERANCE
        for probe in entry.get("probes", ()):
            error = largest_error(probe, inner[probe["name"]])
            assert error < TOLERANCE, f"{probe['name']} is off by {error:.2g} of its deviation"


@pytest.mark.parametrize("family", ["edgenext", "edgevit", "conv2former", "topformer"])
def test_the_weight_rule_gives_the_weights_that_the_references_were_made_with(family: str) -> None:
    for check in read(family, "goldens")["weight_checks"][:1]:
        spec = named(check["variant"].replace("_", "-"))
        weights = seeded(spec.build()).state_dict()
        for entry in check["weights"]:
            first = weights[entry["key"]].flatten()[:4].tolist()
            assert first == pytest.approx(entry["first4"], abs=1e-7)
