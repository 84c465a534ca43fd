"""verify --layers: where an artifact and the float network part, operator by operator.

formats/          a file as operators that run one by one
artifacts.py      an artifact beside its float network
reference.py      every tensor of the float network, of torch or of a float file
recreate.py       the float network of an artifact, made again from its manifest
matching.py       which tensor of the float network a tensor of the file is
analysis.py       own and inherited error of each operator
outcomes.py       what one operator makes of exact and of the file's inputs
files.py          the same for two files of any origin
child.py          asks worker.py, the child process in which the operators run

ExecuTorch runs a delegate as a whole and gives none of the values inside, so its files cannot be compared like this. An
export compares the quantized network that it lowers instead; where the runtime is to blame, or in float, taps.py lowers the
network again with every tensor as an output.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.core.errors import EdgedeployError
from edgedeploy.core.provenance import OperatorFact
from edgedeploy.core.results.layers import LayerReport, first_line
from edgedeploy.core.spec import TensorSpec

from .child import ask, request_for
from .files import compare_files
from .formats import RUNTIMES

if TYPE_CHECKING:
    from torch import fx

    from edgedeploy.core.parity import Array

    from .reference import Reference

__all__ = ["compare_files", "first_difference", "first_difference_in_graph", "render_layers_page"]


def first_difference(
    reference: Reference, runtime: str, path: Path, operators: Sequence[OperatorFact], inputs: Sequence[TensorSpec]
) -> str:
    """Where a file and the float network part first, in a line; "" where that cannot be found out."""
    if runtime not in RUNTIMES:
        return ""
    try:
        answer, _ = ask(request_for(runtime, path, operators, inputs), reference)
    except EdgedeployError as error:
        return f"operator by operator: {error.message}"
    return first_line(LayerReport("", "", runtime, answer.layers, answer.without_counterpart, answer.not_trusted))


def first_difference_in_graph(reference: Reference, module: fx.GraphModule) -> tuple[str, tuple[Array, ...]]:
    """Where a quantized network and the float network part first, in a line, and the quantized network's outputs."""
    from .analysis import analyse
    from .formats.quantized_graph import QuantizedGraph

    graph = QuantizedGraph(module)
    found = analyse(graph, reference, [False] * len(graph.inputs))
    report = LayerReport("", "", "torch", found.layers, found.without_counterpart, found.not_trusted)
    return first_line(report), found.outputs


def render_layers_page(report: LayerReport) -> str:
    """The report as one HTML page. Raises MissingExtra without matplotlib."""
    from edgedeploy.benchmarks.reports.layers import render_layers_html

    return render_layers_html(report)
