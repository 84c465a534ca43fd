"""What XNNPACK asks of int8 scales, in every format whose delegate it is."""

from __future__ import annotations

STEPS = 255  # of an int8 range
LEAST_RATIO = 2.0**-10 * 1.01  # of a sum's operand, over the result; with room for the rounding of a scale
LEAST_RESULT = 2.0**-8 * 1.01  # of a layer's result, over input times weight; with the same room
