"""LiteRT: transposed convolutions with padding that is not SAME do not convert."""

import sys

import litert_torch
import torch
from torch import nn

LAYERS = {
    "kernel 3, stride 2": nn.ConvTranspose2d(8, 8, 3, 2),
    "kernel 4, stride 2, padding 1": nn.ConvTranspose2d(8, 8, 4, 2, 1),
    "kernel 3, stride 2, padding 1, output padding 1": nn.ConvTranspose2d(8, 8, 3, 2, 1, 1),
    "kernel 5, stride 2, padding 2, output padding 1": nn.ConvTranspose2d(8, 8, 5, 2, 2, 1),
}

failed = 0
for name, layer in LAYERS.items():
    try:
        litert_torch.convert(layer.eval(), (torch.randn(1, 8, 8, 8),))
        print(f"{name:48} converts")
    except Exception as error:
        failed += 1
        print(f"{name:48} {type(error).__name__}")
sys.exit(failed > 0)
