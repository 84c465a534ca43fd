"""Networks of timm: which ones, at small inputs, and the folder of packages that they are loaded from."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

from edgedeploy.core.child_processes import child_environment, installed_module_command
from edgedeploy.core.errors import RunnerFailed
from edgedeploy.core.storage.files import staged_folder

from . import stand_in

TIMM = "1.0.31"
# One of a kind, small; inputs as small as the network takes, since the operators are the same. No mixer: timm begins its
# classifier with zeros, and outputs that are all zero prove nothing.
NETWORKS = (
    "timm:resnet18 64", "timm:mobilenetv3_small_050 64", "timm:mobilenetv4_conv_small 64", "timm:efficientnet_lite0 64",
    "timm:ghostnet_050 64", "timm:repvit_m0_9 64", "timm:fastvit_t8 64", "timm:mobileone_s0 64", "timm:starnet_s050 64",
    "timm:convnextv2_atto 64", "timm:inception_next_atto 64", "timm:poolformer_s12 64", "timm:regnety_002 64",
    "timm:mixnet_s 64", "timm:rexnet_100 64", "timm:hrnet_w18_small 64", "timm:dla34 64", "timm:skresnet18 64",
    "timm:res2net50_14w_8s 64", "timm:densenet121 64", "timm:efficientvit_b0 64", "timm:mobilevitv2_050 64",
    "timm:pvt_v2_b0 64", "timm:mambaout_femto 64", "timm:vit_tiny_patch16_224?img_size=64",
    "timm:swinv2_cr_tiny_224?img_size=64&window_size=2", "timm:xcit_nano_12_p8_224?img_size=64",
    "timm:coat_tiny?img_size=64", "timm:levit_128s?img_size=64",
    "timm:cait_xxs24_224?img_size=64", "timm:maxvit_rmlp_pico_rw_256?img_size=64", "timm:crossvit_tiny_240",
    "timm:halonet26t 256", "timm:lambda_resnet26t 128",
)  # fmt: skip


def packages(folder: Path) -> Path:
    """The folder to search for timm and, where no torchvision is installed, its stand-in; filled at the first call.

    Raises RunnerFailed where pip cannot install timm.
    """
    made = folder / f"timm-{TIMM}"
    if not made.is_dir():
        with staged_folder(made) as stage:
            command = installed_module_command("pip", "install", "--quiet", "--no-deps", "--target", str(stage))
            done = subprocess.run(
                [*command, f"timm=={TIMM}"], capture_output=True, text=True, env=child_environment(), check=False
            )
            if done.returncode:
                raise RunnerFailed(f"pip cannot install timm {TIMM}", details=done.stderr.splitlines()[-3:])
            if importlib.util.find_spec(stand_in.NAME) is None:
                (stage / stand_in.NAME).mkdir()
                shutil.copy(stand_in.__file__, stage / stand_in.NAME / "__init__.py")
    return made
