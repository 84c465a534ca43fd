"""XNNPACK's partitioner for ExecuTorch, with what its delegate has in int8 and the partitioner does not know."""

from __future__ import annotations

from typing import Any

from .pads import with_checks_of_int8_pads


def partitioner() -> Any:
    """XnnpackPartitioner that takes sigmoid and GELU (tables.py), and pads (pads.py), in int8 too."""
    from executorch.backends.xnnpack.partition.config import ALL_PARTITIONER_CONFIGS
    from executorch.backends.xnnpack.partition.config.generic_node_configs import (
        ConstantPadConfig,
        GeluConfig,
        SigmoidConfig,
    )
    from executorch.backends.xnnpack.partition.config.xnnpack_config import ConfigPrecisionType
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

    both = [ConfigPrecisionType.FP32, ConfigPrecisionType.STATIC_QUANT]

    def with_int8(config: Any) -> Any:
        return type(config.__name__, (config,), {"supported_precision_types": lambda self: both})

    changed = {
        SigmoidConfig: with_int8(SigmoidConfig),
        GeluConfig: with_int8(GeluConfig),
        ConstantPadConfig: with_checks_of_int8_pads(with_int8(ConstantPadConfig)),
    }
    return XnnpackPartitioner(configs=[changed.get(config, config) for config in ALL_PARTITIONER_CONFIGS])
