"""How the operators of a captured network are called that regions are made of."""

from __future__ import annotations

from .regions import (
    DistributionTypes,
    DivisionTypes,
    LabelSelectionTypes,
    NormalizationTypes,
    PreprocessingTypes,
    RegionTypes,
    ResidualTypes,
)

# layer_norm is one operator, which ExecuTorch's quantizer leaves in float; without it a mean is a layer
NORMS = ("aten.layer_norm.default",)
REGION_TYPES = RegionTypes(
    NormalizationTypes(
        roots=("aten.rsqrt.default",),
        sums=("aten.sum.dim_IntList", "aten.mean.dim"),
        squares=("aten.mul.Tensor",),
        differences=("aten.sub.Tensor",),
        products=("aten.mul.Tensor",),
        between=("aten.clamp_min.default", "aten.add.Tensor"),
        views=("aten.reshape.default", "aten.permute.default", "aten.transpose.int"),
        after=("aten.mul.Tensor", "aten.add.Tensor", "aten.sub.Tensor", "aten.reshape.default"),
        layers=("aten.linear.default", "aten.conv2d.default"),
        norms=NORMS,
    ),
    LabelSelectionTypes(
        selectors=("aten.argmax.default", "aten.topk.default"),
        layers=("aten.conv2d.default", "aten.linear.default", "aten.matmul.default"),
    ),
    DivisionTypes(
        divisions=("aten.div.Tensor",),
        reciprocals=("aten.reciprocal.default",),
        multiplications=("aten.mul.Tensor",),
        products=("aten.matmul.default", "aten.bmm.default", "aten.einsum.default"),
        layers=("aten.conv2d.default", "aten.linear.default", "aten.conv_transpose2d.input"),
        views=(
            "aten.reshape.default",
            "aten.view.default",
            "aten.permute.default",
            "aten.transpose.int",
            "aten.slice.Tensor",
            "aten.unsqueeze.default",
            "aten.expand.default",
        ),
    ),
    DistributionTypes(
        softmaxes=("aten.softmax.int", "aten._softmax.default", "aten.log_softmax.int"),
        selects=("aten.where.self",),
        products=("aten.matmul.default", "aten.bmm.default", "aten.einsum.default"),
        views=("aten.reshape.default", "aten.permute.default", "aten.transpose.int", "aten.slice.Tensor"),
        averages=("aten.mul.Tensor", "aten.sum.dim_IntList", "aten.mean.dim"),
        joins=("aten.cat.default", "aten.stack.default"),
    ),
    ResidualTypes(
        norms=NORMS,
        additions=("aten.add.Tensor",),
        joins=("aten.cat.default",),
        products=("aten.matmul.default", "aten.bmm.default"),
        views=("aten.reshape.default", "aten.view.default", "aten.flatten.using_ints"),
    ),
    PreprocessingTypes(
        arithmetic=("aten.add.Tensor", "aten.sub.Tensor", "aten.mul.Tensor", "aten.div.Tensor"),
        views=("aten.reshape.default", "aten.view.default", "aten.permute.default", "aten.transpose.int"),
    ),
    pads=("aten.pad.default", "aten.constant_pad_nd.default"),
)
