"""LiteRT, float32: a nearest resize by a ratio that is no whole number takes other rows than torch."""

import os

import litert_torch
import torch
import torch.nn.functional as F
from torch import nn


class Resize(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x * 1.0, size=(7, 7), mode="nearest")


rows = torch.arange(3.0).reshape(1, 1, 3, 1).expand(1, 1, 3, 3).contiguous()
expected = Resize()(rows)[0, 0, :, 0].tolist()
found = torch.from_numpy(litert_torch.convert(Resize().eval(), (rows,))(rows))[0, 0, :, 0].tolist()
print("torch ", *map(int, expected))
print("LiteRT", *map(int, found), flush=True)
os._exit(found != expected)  # the interpreter was seen to keep the process at its end
