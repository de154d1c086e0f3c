"""What a training step costs: COBOT beside its base methods, and Hugging Face's SAM with peft.

    python benchmarks/train_step.py [--base vit_b] [--head mask-decoder] [--image-px 512]
                                    [--batch 1] [--steps 7] [--threads N] [--device cpu] [--bf16]

Every arm has the same frozen encoder of random weights, trains its adapters and the head on the
same images, and makes whole steps: forward, loss, backward, AdamW. Arms take turns, so that all
of them meet the same machine; figures are medians. Hugging Face's SAM has no dense head.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, get_args

import peft
import torch
from torch import Tensor, nn
from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamVisionConfig

from geocobot.adapters.attach import attach
from geocobot.adapters.config import AdapterConfig
from geocobot.config.values import HeadKind
from geocobot.models.bases import BASES, BaseSpec
from geocobot.models.encoder import SamEncoder
from geocobot.models.heads import head_config, make_head
from geocobot.models.segmenter import Segmenter
from geocobot.training.losses import SegmentationLoss

PEFT = "transformers + peft: LoRA"
ARMS = {
    "decoder only": AdapterConfig("none", cobot=False),
    "LoRA": AdapterConfig("lora", cobot=False),
    "LoRA + COBOT": AdapterConfig("lora"),
    "DoRA": AdapterConfig("dora", cobot=False),
    "DoRA + COBOT": AdapterConfig("dora"),
    "AdaptFormer": AdapterConfig("adaptformer", cobot=False),
    "AdaptFormer + COBOT": AdapterConfig("adaptformer"),
    "full": AdapterConfig("full", cobot=False),
}
OVER_BASE = ("LoRA", "DoRA", "AdaptFormer")


@dataclass
class Arm:
    """One side of the comparison and what was measured of it.

    Attributes:
        model: its trained parameters have `requires_grad`.
        logits: image (B, 3, H, W) to logits (B, 1, H, W).
        seconds: of every measured step.
        kept_mib: activations kept for the backward pass (CPU) or peak of the whole step (CUDA).
    """

    model: nn.Module
    logits: Callable[[Tensor], Tensor]
    seconds: list[float] = field(default_factory=list)
    kept_mib: float = 0.0

    def __post_init__(self) -> None:
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-4)


def make_ours(spec: BaseSpec, config: AdapterConfig, head: HeadKind, device: str) -> Arm:
    torch.manual_seed(0)
    encoder = SamEncoder(spec)
    attach(encoder, config)
    segmenter = Segmenter(encoder, make_head(head_config(spec, 1, head, "pretrained")))
    segmenter.to(device)
    return Arm(segmenter, segmenter)


def make_theirs(spec: BaseSpec, image_px: int, device: str) -> Arm:
    """Hugging Face's SAM, LoRA on its fused qkv, one box prompt for the whole image."""
    torch.manual_seed(0)
    vision = SamVisionConfig(
        hidden_size=spec.width,
        num_hidden_layers=spec.depth,
        num_attention_heads=spec.heads,
        global_attn_indexes=list(spec.global_blocks),
        window_size=spec.window_tokens,
        image_size=image_px,
        mlp_dim=4 * spec.width,
    )
    config = SamConfig(vision_config=vision, mask_decoder_config=SamMaskDecoderConfig())
    config.prompt_encoder_config.image_size = image_px
    config.prompt_encoder_config.image_embedding_size = image_px // 16
    lora = peft.LoraConfig(
        r=4,
        lora_alpha=4,
        target_modules=r"vision_encoder\..*\.qkv",
        modules_to_save=["mask_decoder"],
    )
    model = peft.get_peft_model(SamModel(config), lora).to(device)

    def logits(image: Tensor) -> Tensor:
        box = torch.tensor([[[0.0, 0.0, image_px, image_px]]], device=image.device)
        found: Any = model(
            pixel_values=image,
            input_boxes=box.expand(len(image), -1, -1),
            multimask_output=False,
        )
        masks: Tensor = found.pred_masks[:, 0]
        return nn.functional.interpolate(masks, size=image.shape[-2:], mode="bilinear")

    return Arm(model, logits)


def step(arm: Arm, image: Tensor, label: Tensor, *, bf16: bool) -> None:
    """Make one whole training step."""
    device = image.device.type
    with torch.autocast(device, dtype=torch.bfloat16, enabled=bf16):
        logits = arm.logits(image)
    loss = SegmentationLoss()(logits, label, torch.ones_like(label, dtype=torch.bool))
    loss.backward()
    arm.optimizer.step()
    arm.optimizer.zero_grad()
    if device == "cuda":
        torch.cuda.synchronize()


def measure_memory(arm: Arm, image: Tensor, label: Tensor, *, bf16: bool) -> None:
    """Note what a step keeps for its backward pass, parameters left out."""
    if image.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(arm, image, label, bf16=bf16)
        arm.kept_mib = (torch.cuda.max_memory_allocated() - before) / 2**20
        return
    own = {p.untyped_storage().data_ptr() for p in arm.model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step(arm, image, label, bf16=bf16)
    arm.kept_mib = sum(kept.values()) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", choices=list(BASES), default="vit_b")
    parser.add_argument("--head", choices=get_args(HeadKind), default="mask-decoder")
    parser.add_argument("--threads", type=int, help="of the CPU; all of its cores otherwise")
    parser.add_argument("--image-px", type=int, default=512)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    spec = BASES[options.base]
    generator = torch.Generator().manual_seed(0)
    side = options.image_px
    image = torch.rand(options.batch, 3, side, side, generator=generator).to(options.device)
    label = (image.mean(dim=1) > 0.5).long()
    arms = {
        name: make_ours(spec, config, options.head, options.device) for name, config in ARMS.items()
    }
    if options.head == "mask-decoder":
        arms[PEFT] = make_theirs(spec, side, options.device)
    for arm in arms.values():
        step(arm, image, label, bf16=options.bf16)
        measure_memory(arm, image, label, bf16=options.bf16)
    for _ in range(options.steps):
        for arm in arms.values():
            started = time.perf_counter()
            step(arm, image, label, bf16=options.bf16)
            arm.seconds.append(time.perf_counter() - started)
    report(arms)


def report(arms: dict[str, Arm]) -> None:
    """Print the table and the ratios that are claimed."""
    medians = {name: statistics.median(arm.seconds) for name, arm in arms.items()}
    print("| Arm | s per step | MiB kept | Trained parameters |\n| --- | --- | --- | --- |")
    for name, arm in arms.items():
        trained = sum(p.numel() for p in arm.model.parameters() if p.requires_grad)
        print(f"| {name} | {medians[name]:.3f} | {arm.kept_mib:,.0f} | {trained:,} |")
    for name in OVER_BASE:
        pairs = zip(arms[f"{name} + COBOT"].seconds, arms[name].seconds, strict=True)
        ratio = statistics.median(ours / base for ours, base in pairs)
        print(f"COBOT over {name}: {100 * (ratio - 1):+.1f} % (median of steps made in turn)")
    if PEFT in arms:
        print(f"{PEFT} over our LoRA: {medians[PEFT] / medians['LoRA']:.2f} x")


if __name__ == "__main__":
    main()
