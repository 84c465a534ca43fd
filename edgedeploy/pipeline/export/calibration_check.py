"""The calibration checker: what is wrong with the images that int8 ranges come from, as a stage of an export."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgedeploy.core.reporter import Reporter
from edgedeploy.data.image_checks import facts_of, warnings_of

from .activation_checks import layer_warnings, range_warnings
from .stages import Calibration

if TYPE_CHECKING:
    from edgedeploy.models.loading import Network


def check_calibration(network: Network, calibration: Calibration, reporter: Reporter) -> Calibration:
    """Looks for what is wrong with the images that int8 ranges come from, and reports it.

    The images alone are looked at where they are the user's, the network's activations where its weights are not random.
    """
    images = calibration.images
    if images is None or not calibration.samples:
        return calibration
    found = []
    with reporter.stage("check the calibration images"):
        if images.is_of_the_user:
            found += warnings_of([facts_of(image) for image in images])
        if not network.random:
            found += range_warnings(network, images.images)
            found += layer_warnings(network, images.images)
    for warning in found:
        reporter.note(f"calibration: {warning}")
    return replace(calibration, warnings=tuple(found))
