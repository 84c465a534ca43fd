"""One thread a process: the suite runs in as many processes as there are cores. Every test starts from the same seed."""

from __future__ import annotations

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)
