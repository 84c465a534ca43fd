"""Trains one network of the study from scratch: seeded, resumable after each epoch, cached by its settings."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from edgedeploy.core.reporter import Reporter
from edgedeploy.core.spec import ModelSpec
from edgedeploy.core.storage.files import write_atomically
from edgedeploy.data.preprocessing import preprocess
from edgedeploy.models.zoo import ZOO

from .digits import NUM_CLASSES, draw_images
from .networks import BATCH, EPOCH_IMAGES, TrainedNetwork

SEED = 20
WEIGHT_DECAY = 0.02
LARGEST_GRADIENT = 5.0
LAYER_SCALE = 0.1  # first weight of residual branches
LARGEST_TINY_SCALE = 1e-3  # vectors that are not above it are layer scales
HEAD_STD = 0.02
EASIEST = 0.3  # difficulty of the first epoch's images: from scratch some networks do not learn the final ones at all
EASY_SHARE = 0.4  # of the epochs, until the images are as difficult as the held-out ones


@dataclass(frozen=True)
class Batch:
    """Preprocessed images (n, 3, side, side), labels (n,) and pixels' labels (n, side, side)."""

    images: Tensor
    labels: Tensor
    masks: Tensor


def train(network: TrainedNetwork, folder: Path, reporter: Reporter) -> Path:
    """The checkpoint of a trained network, which is made where it is not in the folder yet.

    After each epoch the state is kept, and the next call goes on from it.
    """
    name = f"{network}-{network.key}"
    final, state = folder / f"{name}.pth", folder / f"{name}.state.pth"
    if final.is_file():
        return final
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # several threads cost more than they gain at this size; and the sums stay the same
    spec = ZOO[network.model]
    torch.manual_seed(SEED)
    module = spec.build(num_classes=NUM_CLASSES)
    initialise(module)
    module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(_groups(module), lr=network.learning_rate)
    steps = network.epochs * (EPOCH_IMAGES // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, network.learning_rate, total_steps=steps, pct_start=0.15)
    done = 0
    if state.is_file():
        kept = torch.load(state, weights_only=True)
        module.load_state_dict(kept["module"])
        optimizer.load_state_dict(kept["optimizer"])
        schedule.load_state_dict(kept["schedule"])
        done = kept["epochs"]
    for epoch in range(done, network.epochs):
        torch.manual_seed(SEED + epoch)  # of dropped paths; the same after a stop
        with reporter.stage(f"train {network}, epoch {epoch + 1} of {network.epochs}"):
            loss = _epoch(module, optimizer, schedule, _EpochData(network, spec, epoch), reporter)
        reporter.note(f"{network}: epoch {epoch + 1} of {network.epochs}, loss {loss:.3f}")
        _save(
            state,
            {
                "module": module.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "epochs": epoch + 1,
            },
        )
    _save(final, {name: tensor.contiguous() for name, tensor in module.state_dict().items()})
    state.unlink()
    return final


@dataclass(frozen=True)
class _EpochData:
    """The images of one epoch, drawn anew for each."""

    network: TrainedNetwork
    spec: ModelSpec
    epoch: int

    def batches(self) -> list[Batch]:
        side = (self.network.side, self.network.side)
        difficulty = min(1.0, EASIEST + (1 - EASIEST) * self.epoch / (EASY_SHARE * self.network.epochs))
        drawn = list(draw_images("train", self.network.side, EPOCH_IMAGES, SEED + self.epoch, difficulty))
        order = np.random.default_rng(self.epoch).permutation(len(drawn))
        batches = []
        for first in range(0, EPOCH_IMAGES, BATCH):
            chosen = [drawn[index] for index in order[first : first + BATCH]]
            images = [preprocess(Image.fromarray(image.pixels), side, self.spec.preprocessing) for image in chosen]
            batches.append(
                Batch(
                    torch.from_numpy(np.concatenate(images)).contiguous(memory_format=torch.channels_last),
                    torch.tensor([image.label for image in chosen]),
                    torch.from_numpy(np.stack([image.mask for image in chosen])).long(),
                )
            )
        return batches


def _epoch(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    data: _EpochData,
    reporter: Reporter,
) -> float:
    """The mean loss of one pass."""
    module.train()
    losses, batches = [], data.batches()
    for number, batch in enumerate(batches):
        with torch.autocast("cpu", torch.bfloat16, enabled=data.network.bfloat16):
            output = module(batch.images)
        loss = _loss(output.float(), batch, segmentation=data.spec.task == "segmentation")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        reporter.advance(number + 1, len(batches))
    return float(np.mean(losses))


def _loss(output: Tensor, batch: Batch, *, segmentation: bool) -> Tensor:
    if not segmentation:
        return F.cross_entropy(output, batch.labels)
    logits = F.interpolate(output, size=batch.masks.shape[-2:], mode="bilinear", align_corners=False)
    return F.cross_entropy(logits, batch.masks)


def initialise(module: nn.Module) -> None:
    """Weights for a training of few steps, in place; an init of this study and not the families' own.

    Families with layer scales begin at 1e-6, which hundreds of epochs make larger and a few do not. Inverted residuals
    begin near the identity, by the weight of their last norm: as deep as they are, they stay at chance for long otherwise.
    """
    for parameter in module.parameters():
        if parameter.ndim == 1 and 0 < float(parameter.detach().abs().max()) < LARGEST_TINY_SCALE:
            nn.init.constant_(parameter, LAYER_SCALE)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.trunc_normal_(layer.weight, std=math.sqrt(2 / layer.weight[0].numel()))
        elif isinstance(layer, nn.Linear):
            of_head = layer.out_features == NUM_CLASSES
            nn.init.trunc_normal_(layer.weight, std=HEAD_STD if of_head else math.sqrt(1 / layer.in_features))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif getattr(layer, "residual", False) is True:
            *_, last_norm = (norm for norm in layer.modules() if isinstance(norm, nn.BatchNorm2d))
            nn.init.constant_(last_norm.weight, LAYER_SCALE)


def _groups(module: nn.Module) -> list[dict[str, object]]:
    """Parameters with and without weight decay: norms, biases and layer scales have one dimension."""
    many = [p for p in module.parameters() if p.ndim > 1]
    one = [p for p in module.parameters() if p.ndim <= 1]
    return [{"params": many, "weight_decay": WEIGHT_DECAY}, {"params": one, "weight_decay": 0.0}]


def _save(path: Path, content: object) -> None:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())
