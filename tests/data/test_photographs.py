from __future__ import annotations

from edgedeploy.core.spec import Preprocessing
from edgedeploy.data.photographs import calibration_from_photographs, held_out_images

PLAIN = Preprocessing()


def test_the_built_in_crops_are_the_same_on_every_call_and_not_those_for_parity() -> None:
    calibration = calibration_from_photographs((32, 48), PLAIN, 8)
    assert calibration.sha256 == calibration_from_photographs((32, 48), PLAIN, 8).sha256
    assert len({image.tobytes() for image in calibration}) == 8
    others = {image.tobytes() for image in held_out_images((32, 48), PLAIN, 4)}
    assert not others & {image.tobytes() for image in calibration}
