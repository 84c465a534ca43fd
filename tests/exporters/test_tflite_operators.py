from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.exporters.tflite_file import FileGraph, FileOperator, FileTensor
from edgedeploy.exporters.tflite_operators import delegated_operators, module_paths, modules_by_name, operator_facts
from edgedeploy.models.rewrites import capture

from .small_network import SmallNetwork

NET = "tests.exporters.small_network.SmallNetwork"
BLOCK = f"{NET}/tests.exporters.small_network.Conv_Block"
CONV = "torch.nn.modules.conv.Conv2d"


@pytest.fixture(scope="module")
def captured() -> torch.fx.GraphModule:
    return capture(SmallNetwork().eval(), (torch.randn(1, 3, 16, 16),))


def chain(*operators: tuple[str, str]) -> FileGraph:
    """Operators of these types and output names, one after the other."""
    tensors = ("input", *(name for _, name in operators))
    return FileGraph(
        tuple(FileTensor(name, "float32") for name in tensors),
        tuple(FileOperator(type, (index,), (index + 1,)) for index, (type, _) in enumerate(operators)),
    )


def test_a_name_is_looked_up_in_the_network(captured: torch.fx.GraphModule) -> None:
    stem = f"{NET}/torch.nn.modules.container.Sequential_stem"
    graph = chain(("PAD", f"{stem}/{CONV}_0;2"), ("CONV_2D", f"{stem}/{CONV}_0;3"), ("CONV_2D", f"{NET}/{CONV}_head;"))
    assert module_paths(graph, captured) == ["stem.0", "stem.0", "head"]


def test_a_layer_with_a_fused_activation_has_the_layers_path(captured: torch.fx.GraphModule) -> None:
    stem = f"{NET}/torch.nn.modules.container.Sequential_stem"
    name = f"{stem}/torch.nn.modules.activation.ReLU_1;;{stem}/{CONV}_0;1"
    assert module_paths(chain(("CONV_2D", name)), captured) == ["stem.0"]
    assert module_paths(chain(("TRANSPOSE", name)), captured) == ["stem.1"]


def test_the_names_of_quantized_tensors_are_known_too(captured: torch.fx.GraphModule) -> None:
    assert module_paths(chain(("QUANTIZE", f"{NET}/{CONV}_head;3_quantized")), captured) == ["head"]
    assert module_paths(chain(("DEQUANTIZE", f"{NET}/{CONV}_head;_dequant")), captured) == ["head"]


def test_of_two_modules_with_one_name_the_neighbours_decide(captured: torch.fx.GraphModule) -> None:
    same = f"{BLOCK}_0/{CONV}_conv;"
    assert {module.path for module in modules_by_name(captured)[same.rstrip(";")]} == {
        "stages.0.conv",
        "branches.0.conv",
    }
    norm = f"{NET}/torch.nn.modules.normalization.LayerNorm_norm;"
    graph = chain(("CONV_2D", same), ("MEAN", norm), ("CONV_2D", same + "1"), ("CONV_2D", f"{NET}/{CONV}_head;"))
    assert module_paths(graph, captured) == ["stages.0.conv", "norm", "branches.0.conv", "head"]


def test_of_two_modules_with_one_name_and_no_neighbour_none_is_chosen(captured: torch.fx.GraphModule) -> None:
    assert module_paths(chain(("CONV_2D", f"{BLOCK}_0/{CONV}_conv;")), captured) == [""]


def test_a_name_of_no_module_has_the_path_of_its_reader(captured: torch.fx.GraphModule) -> None:
    graph = chain(("QUANTIZE", "serving_default_args_0_quantized"), ("CONV_2D", f"{NET}/{CONV}_head;"))
    assert module_paths(graph, captured) == ["head", "head"]


def test_what_writes_an_output_has_the_path_of_what_returned_it() -> None:
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.one, self.two, self.act = (
                nn.Conv2d(3, 4, 1),
                nn.Conv2d(4, 2, 1),
                nn.Conv2d(4, 2, 1),
                nn.ReLU(),
            )

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            x = self.stem(x)
            return self.one(x), self.act(self.two(x))

    captured = capture(TwoHeads().eval(), (torch.randn(1, 3, 8, 8),))
    for number, name in enumerate(("one", "two")):
        assert module_paths(chain(("CONV_2D", f"serving_default_output_{number}_output")), captured) == [name]
    assert module_paths(chain(("RELU", "serving_default_output_1_output_quantized")), captured) == ["act"]


def test_a_module_that_is_called_twice_keeps_its_path() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.conv(x))

    captured = capture(Twice().eval(), (torch.randn(1, 3, 4, 4),))
    graph = chain(*(("CONV_2D", f"{name}/{CONV}_conv;{index}") for index in range(2) for name in [type_name(Twice)]))
    assert module_paths(graph, captured) == ["conv", "conv"]


def type_name(kind: type) -> str:
    """As torch.export records a module's class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def test_a_delegate_takes_all_between_its_inputs_and_its_outputs() -> None:
    graph = chain(*((type, type) for type in ("PAD", "CONV_2D", "GELU", "CONV_2D", "MEAN")))
    plan: list[dict[str, list[int]]] = [{}] * 5
    plan += [{"inputs": [1], "outputs": [2]}, {"inputs": [3, 99], "outputs": [5]}]
    assert delegated_operators(graph, plan) == {1: 0, 3: 1, 4: 1}
    assert delegated_operators(graph, plan[:5]) == {}


@pytest.mark.parametrize(
    ("type", "zero_point", "reason"),
    [
        ("BATCH_MATMUL", -4, "its second operand has zero point -4"),
        ("BATCH_MATMUL", 0, "does not take this BATCH_MATMUL with int8 results"),
        ("FULLY_CONNECTED", 0, "its weights are computed"),
    ],
)
def test_a_layer_outside_the_delegate_has_a_reason(type: str, zero_point: int, reason: str) -> None:
    tensors = tuple(FileTensor(name, "int8", (1, 4, 4)) for name in "xyz")
    tensors = tensors if type == "BATCH_MATMUL" else tuple(FileTensor(name, "int8", (4, 4)) for name in "xyz")
    graph = FileGraph(tensors, (FileOperator("RESHAPE", (0,), (1,)), FileOperator(type, (0, 1), (2,))))
    view, product = operator_facts(graph, ["", ""], {}, {1: zero_point})
    assert reason in product.outside_because
    assert view.outside_because == ""
    assert operator_facts(graph, ["", ""], {1: 0}, {1: zero_point})[1].outside_because == ""
