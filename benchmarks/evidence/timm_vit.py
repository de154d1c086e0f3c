"""A second backbone: timm's plain vision transformer with our dense head, pretrained here.

It has neither SAM's windows nor its relative positions nor its convolutional stem, and another
hand wrote it. Without weights to download, it learns from the made-up world before the
comparison, as `tiny` did, though for much less long.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from geocobot.adapters.attach import attach
from geocobot.adapters.config import AdapterConfig
from geocobot.models.bases import PATCH_PX, BaseSpec
from geocobot.models.dense_head import DenseHead
from geocobot.models.encoder import Features, make_neck
from geocobot.models.heads import head_config, make_head
from geocobot.models.segmenter import Segmenter
from geocobot.synthetic.world.world import draw_world
from geocobot.training.averaging import WeightAverage
from geocobot.training.pretrain.model import PretrainedParts, dense_config
from geocobot.training.pretrain.objectives import world_loss

SPEC = BaseSpec(
    name="timm_vit",
    width=96,
    depth=12,
    heads=3,
    global_blocks=(2, 5, 8, 11),
    image_px=128,
    out_channels=96,
)
"""Its shape in our terms; every block attends to the whole image, four of them are levels."""

WEIGHTS = Path(__file__).parents[1] / "runs" / "timm_vit.safetensors"
"""What `pretrain` made, in float16: encoder and dense head without its readers."""

_READERS = "head.readers."

STEPS = 3000
_WORLDS = 8
_SIDE_PX = 128
_RATE = 1e-3
_ENCODER_SHARE = 0.5
_WARMUP = 0.05
_DECAY = 0.05
_SEED = 0


class TimmEncoder(nn.Module):
    """timm's transformer with a neck, in the place of SAM's encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.vit = VisionTransformer(
            img_size=SPEC.image_px,
            patch_size=PATCH_PX,
            embed_dim=SPEC.width,
            depth=SPEC.depth,
            num_heads=SPEC.heads,
            num_classes=0,
            class_token=False,
            global_pool="",
            dynamic_img_size=True,
        )
        self.neck = make_neck(SPEC)

    def forward(self, x: Tensor) -> Features:
        """Encode normalized images (B, 3, H, W), H and W multiples of 16."""
        tokens, levels = self.vit.forward_intermediates(
            x, indices=list(SPEC.global_blocks), output_fmt="NCHW"
        )
        grid = tokens.transpose(1, 2).unflatten(2, levels[-1].shape[2:])
        return Features(tuple(levels), self.neck(grid))


class TimmParts(PretrainedParts):
    """What `geocobot pretrain` trains, around timm's transformer."""

    def __init__(self) -> None:
        super().__init__(SPEC)
        self.segmenter = Segmenter(TimmEncoder(), DenseHead(dense_config(SPEC)))


def build(config: AdapterConfig, n_classes: int, seed: int, checkpoint: str | None) -> Segmenter:
    """A segmenter on the pretrained transformer, ready to be trained.

    Args:
        config: how the encoder is adapted.
        n_classes: planes of logits.
        seed: of everything that starts at random.
        checkpoint: file that `pretrain` has written; None for `WEIGHTS`.
    """
    weights = {n: t.float() for n, t in load_file(checkpoint or WEIGHTS).items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        segmenter = Segmenter(
            TimmEncoder(), make_head(head_config(SPEC, n_classes, "dense", "pretrained"))
        )
        own = segmenter.state_dict()
        readers = {n: t for n, t in own.items() if n.startswith(_READERS)}
        segmenter.load_state_dict(weights | readers)
        attach(segmenter.encoder, config)
    return segmenter


def pretrain(path: Path, told: Callable[[str], None], steps: int = STEPS) -> None:
    """Train encoder and head on the made-up world and write them down.

    Args:
        path: file to write.
        told: gets a line now and then.
        steps: of eight pictures of 128 px.
    """
    torch.manual_seed(_SEED)
    parts = TimmParts().train()
    generator = torch.Generator().manual_seed(_SEED)
    encoder = list(parts.segmenter.encoder.parameters())
    others = [*parts.dense.parameters(), *parts.token_readers.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": encoder, "lr": _RATE * _ENCODER_SHARE}, {"params": others, "lr": _RATE}],
        weight_decay=_DECAY,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _pace(step / steps))
    average = WeightAverage(parts)
    for step in range(steps):
        world = draw_world(generator, _WORLDS, _SIDE_PX, torch.device("cpu"))
        planes, _ = parts(world.image)
        errors = world_loss(planes, world)
        torch.stack(list(errors.values())).sum().backward()
        nn.utils.clip_grad_norm_([*encoder, *others], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        average.update(step + 1)
        if step % max(1, steps // 30) == 0:
            told(
                f"step {step}: "
                + ", ".join(f"{n} {float(e.detach()):.3f}" for n, e in errors.items())
            )
    average.swap()
    kept = {n: t for n, t in parts.segmenter.state_dict().items() if not n.startswith(_READERS)}
    partial_path = path.with_name(f"unfinished_{path.name}")
    made = {"recipe": "python benchmarks/evidence pretrain", "seed": str(_SEED)}
    said = made | {"steps": str(steps), "data": "made-up world", "licence": "Apache-2.0"}
    save_file({n: t.half().contiguous() for n, t in kept.items()}, partial_path, metadata=said)
    partial_path.replace(path)


def _pace(progress: float) -> float:
    """Share of the peak learning rate: up, then down along a cosine."""
    if progress < _WARMUP:
        return progress / _WARMUP
    return 0.5 * (1 + math.cos(math.pi * (progress - _WARMUP) / (1 - _WARMUP)))
