"""Networks of kinds that the zoo does not have, written for this study; each factory returns a module and its inputs."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Made = tuple[nn.Module, tuple[Tensor, ...]]
Factory = Callable[[], Made]
IMAGE = (1, 3, 64, 64)


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class _UNet(nn.Module):
    """Segmentation: strides 2 and 4, transposed convolutions of kernel 3 with padding, skips."""

    def __init__(self) -> None:
        super().__init__()
        self.high, self.middle, self.low = _layer(3, 16), _layer(16, 24, 2), _layer(24, 32, 2)
        self.up1 = nn.ConvTranspose2d(32, 24, 3, 2, 1, 1)
        self.up2 = nn.ConvTranspose2d(24, 16, 5, 2, 2, 1)
        self.join1, self.join2, self.head = _layer(48, 24), _layer(32, 16), nn.Conv2d(16, 5, 1)

    def forward(self, image: Tensor) -> Tensor:
        high = self.high(image)
        middle = self.middle(high)
        x = self.up1(self.low(middle))
        x = self.up2(self.join1(torch.cat([x, middle], 1)))
        return self.head(self.join2(torch.cat([x, high], 1)))


class _Detector(nn.Module):
    """Detection with a pyramid of sizes that do not divide: class scores and boxes of each level, five anchors a place."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([_layer(3, 16, 2), _layer(16, 24, 2), _layer(24, 32, 2)])
        self.sides = nn.ModuleList([nn.Conv2d(width, 24, 1) for width in (16, 24, 32)])
        self.scores, self.boxes = nn.Conv2d(24, 5 * 3, 3, padding=1), nn.Conv2d(24, 5 * 4, 3, padding=1)

    def forward(self, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        maps = []
        for stage in self.stages:
            image = stage(image)
            maps.append(image)
        levels = [self.sides[2](maps[2])]
        for side, high in zip((self.sides[1], self.sides[0]), (maps[1], maps[0]), strict=True):
            levels.append(side(high) + F.interpolate(levels[-1], size=high.shape[-2:]))
        scores = [self.scores(level).permute(0, 2, 3, 1).reshape(1, -1, 3).sigmoid() for level in levels]
        boxes = [self.boxes(level).permute(0, 2, 3, 1).reshape(1, -1, 4).exp() for level in levels]
        return scores, boxes


class _TwoInputs(nn.Module):
    """An image and a vector in, a dictionary out; the vector scales and shifts channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body = _layer(3, 16, 2), _layer(16, 16, 2)
        self.condition = nn.Sequential(nn.Linear(6, 32), nn.SiLU(), nn.Linear(32, 32))
        self.scores, self.mask = nn.Linear(16, 7), nn.Conv2d(16, 1, 1)

    def forward(self, image: Tensor, state: Tensor) -> dict[str, Tensor]:
        x = self.stem(image)
        scale, shift = self.condition(state)[:, :, None, None].chunk(2, 1)
        x = self.body(x * (1 + scale.expand_as(x)) + shift.expand_as(x))
        return {"scores": self.scores(x.mean((2, 3))), "mask": self.mask(x).sigmoid()}


class _Decoder(nn.Module):
    """Transposed convolutions of every kind: depthwise with overlap, grouped, output padding alone, SAME, VALID."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _layer(3, 16, 4)
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(16, 16, 3, 2, 1, 1, groups=16), nn.Conv2d(16, 16, 1), nn.ReLU(),
            nn.ConvTranspose2d(16, 16, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(16, 8, 3, 1, 1, groups=2), nn.ReLU(),
            nn.ConvTranspose2d(8, 4, 2, 2, 0, 1),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.layers(self.stem(image))
        return result


class _Recurrent(nn.Module):
    """A GRU over the columns of a map and an LSTM cell over four steps, as text recognisers have them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_layer(3, 16, 4), _layer(16, 24, 4))
        self.gru, self.cell = nn.GRU(24, 24, batch_first=True), nn.LSTMCell(24, 24)
        self.head = nn.Linear(24, 11)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        steps = self.stem(image).mean(2).transpose(1, 2)
        read, _ = self.gru(steps)
        h, c = torch.zeros_like(steps[:, 0]), torch.zeros_like(steps[:, 0])
        for step in range(steps.shape[1]):
            h, c = self.cell(steps[:, step], (h, c))
        return self.head(read), self.head(h)


class _RelativeAttention(nn.Module):
    """Window attention with a table of biases by relative position, and a residual MLP."""

    index: Tensor

    def __init__(self, dim: int = 32, heads: int = 4, window: int = 4) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.stem, self.norm, self.norm2 = nn.Conv2d(3, dim, 8, 8), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.project = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.table = nn.Parameter(torch.randn((2 * window - 1) ** 2, heads) * 0.3)
        places = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        apart = places[:, :, None] - places[:, None] + window - 1
        self.register_buffer("index", apart[0] * (2 * window - 1) + apart[1])
        self.head = nn.Linear(dim, 9)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image).permute(0, 2, 3, 1)
        batch, height, width, dim = x.shape
        w = self.window
        y = self.norm(x).reshape(batch, height // w, w, width // w, w, dim).transpose(2, 3).reshape(-1, w * w, dim)
        q, k, v = self.qkv(y).reshape(-1, w * w, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        bias = self.table[self.index].permute(2, 0, 1)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None].expand(len(q), -1, -1, -1))
        y = self.project(y.transpose(1, 2).reshape(-1, w * w, dim))
        y = y.reshape(batch, height // w, width // w, w, w, dim).transpose(2, 3).reshape(x.shape)
        x = x + y
        x = x + self.mlp(self.norm2(x))
        result: Tensor = self.head(x.mean((1, 2)))
        return result


class _LinearAttention(nn.Module):
    """Linear attention in two spellings: a division by the last row of the product, and a product with a reciprocal."""

    def __init__(self, dim: int = 32, heads: int = 4) -> None:
        super().__init__()
        self.heads, self.stem = heads, nn.Conv2d(3, dim, 4, 4)
        self.qkv, self.qkv2 = nn.Conv2d(dim, 3 * dim, 1), nn.Conv2d(dim, 3 * dim, 1)
        self.project, self.project2 = nn.Conv2d(dim, dim, 1), nn.Conv2d(dim, dim, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        batch, _, height, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, self.heads, -1, height * width).chunk(3, 2)
        y = F.pad(v, (0, 0, 0, 1), value=1.0) @ k.relu().transpose(-1, -2) @ q.relu()
        x = x + self.project((y[:, :, :-1] / (y[:, :, -1:] + 1e-5)).reshape(x.shape))
        q, k, v = self.qkv2(x).reshape(batch, self.heads, -1, height * width).transpose(-1, -2).chunk(3, 3)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        scale = 1 / (q @ k.sum(2).unsqueeze(-1) + 1e-6)
        y = (q @ (k.transpose(-1, -2) @ v)) * scale
        result: Tensor = x + self.project2(y.transpose(-1, -2).reshape(x.shape))
        return result


class _Keypoints(nn.Module):
    """Softmax over rows and over columns of the maps, and the coordinates that they expect."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(_layer(3, 16, 2), _layer(16, 16, 2), nn.Conv2d(16, 6, 1))
        self.register_buffer("places", torch.linspace(-1, 1, 16))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.body(image)
        heat = maps.flatten(2).softmax(-1).reshape(maps.shape)
        x, y = (heat.sum(2) * self.places).sum(-1), (heat.sum(3) * self.places).sum(-1)
        return torch.stack([x, y], -1), maps.softmax(-1) * 16


class _Upscaler(nn.Module):
    """Super-resolution by pixel shuffle beside a nearest resize of the image, by a ratio that is no whole number."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 24, 5, padding=2), nn.PReLU(24), nn.Conv2d(24, 24, 3, padding=2, dilation=2), nn.PReLU(),
            nn.Conv2d(24, 12, 3, padding=1, padding_mode="reflect"), nn.PixelShuffle(2),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        x = self.body(image) + F.interpolate(image, scale_factor=2.0, mode="bicubic")
        return F.interpolate(x, size=(150, 150), mode="nearest")


class _CausalTokens(nn.Module):
    """Integer tokens with a causal and a boolean mask, learned positions, group and instance norms of an image beside."""

    def __init__(self, dim: int = 32) -> None:
        super().__init__()
        self.embed, self.places = nn.Embedding(50, dim), nn.Parameter(torch.randn(1, 12, dim) * 0.2)
        self.block = nn.TransformerEncoderLayer(dim, 4, 64, 0.0, "gelu", batch_first=True, norm_first=True)
        self.stem = nn.Sequential(nn.Conv2d(3, dim, 8, 8), nn.GroupNorm(4, dim), nn.SiLU(), nn.InstanceNorm2d(dim))
        self.cross, self.head = nn.MultiheadAttention(dim, 4, batch_first=True), nn.Linear(dim, 50)

    def forward(self, image: Tensor, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.places
        later = torch.triu(torch.ones(12, 12, dtype=torch.bool), 1)
        x = self.block(x, src_mask=later)
        seen = self.stem(image).flatten(2).transpose(1, 2)
        result: Tensor = self.head(x + self.cross(x, seen, seen, need_weights=False)[0])
        return result


class _DataDependent(nn.Module):
    """Another path for dark images: nothing that a fixed graph can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.bright, self.dark = _layer(3, 8), _layer(3, 8)

    def forward(self, image: Tensor) -> Tensor:
        result: Tensor = self.bright(image) if image.mean() > 0 else self.dark(image)
        return result


def _image(shape: tuple[int, ...] = IMAGE) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def segmentation() -> Made:
    """See _UNet."""
    return _UNet(), (_image(),)


def detection() -> Made:
    """See _Detector."""
    return _Detector(), (_image((1, 3, 52, 76)),)


def two_inputs() -> Made:
    """See _TwoInputs."""
    return _TwoInputs(), (_image(), _image((1, 6)))


def decoder() -> Made:
    """See _Decoder."""
    return _Decoder(), (_image(),)


def recurrent() -> Made:
    """See _Recurrent."""
    return _Recurrent(), (_image((1, 3, 32, 64)),)


def relative_attention() -> Made:
    """See _RelativeAttention."""
    return _RelativeAttention(), (_image(),)


def linear_attention() -> Made:
    """See _LinearAttention."""
    return _LinearAttention(), (_image((1, 3, 32, 32)),)


def keypoints() -> Made:
    """See _Keypoints."""
    return _Keypoints(), (_image(),)


def upscaler() -> Made:
    """See _Upscaler."""
    return _Upscaler(), (_image((1, 3, 32, 32)),)


def causal_tokens() -> Made:
    """See _CausalTokens."""
    return _CausalTokens(), (_image(), torch.arange(12).reshape(1, 12) * 4)


def data_dependent() -> Made:
    """See _DataDependent."""
    return _DataDependent(), (_image(),)


EXPORTED: tuple[Factory, ...] = (
    segmentation, detection, two_inputs, decoder, recurrent, relative_attention, linear_attention, keypoints, upscaler,
    causal_tokens,
)  # fmt: skip
REFUSED: tuple[Factory, ...] = (data_dependent,)
