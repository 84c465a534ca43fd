"""The records of where nodes came from are shared while a converter runs, and copied as ever afterwards."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.fx.traceback import NodeSource

from edgedeploy.exporters.process.provenance import provenance_shared


def test_records_are_shared_in_the_block_and_copied_after_it() -> None:
    program = torch.export.export(nn.ReLU(), (torch.ones(1),))
    node = next(node for node in program.graph.nodes if node.op == "call_function")
    source = NodeSource(node, "a pass")
    with provenance_shared():
        with provenance_shared():  # exports in two threads
            assert copy.deepcopy(source) is source
        assert copy.deepcopy(source) is source
    copied = copy.deepcopy(source)
    assert copied is not source
    assert copied == source
