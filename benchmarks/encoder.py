"""SAM's image encoder: ours against segment-anything's own, eager, with the same random weights.

    python benchmarks/encoder.py [--base vit_b] [--device auto] [--image-px 1024] [--rounds 5]
                                    [--batches 1 2 4 8 16 32 64]
                                    [--skip-training] [--variants]

Sides take turns, so that both meet the same machine; figures are medians. Rates count the
operations of SAM's own algorithm, whatever a side computes, against the rate of a large matrix
product in the same run. On CUDA every side gets the batch that it is fastest with.
With --variants it also measures what torch.compile and channels-last images change about ours.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import ctypes
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from geocobot.adapters.attach import attach
from geocobot.adapters.config import AdapterConfig
from geocobot.models.bases import BASES, BaseSpec
from geocobot.models.cost import encoder_flop
from geocobot.models.encoder import SamEncoder
from geocobot.models.linear import token_linear
from geocobot.models.precision import has_bfloat16

THEIRS, OURS, RECOMPUTED = "segment-anything", "geocobot", "geocobot --recompute"
PARTS = ("linear layers", "global attention", "windowed attention", "rest")
BATCHES = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Setting:
    """What is measured.

    Attributes:
        spec: of the encoder; its tables are made for the image.
        device: where.
        dtype: of the matrix products, by autocast.
        batches: images at a time, of which CUDA takes the fastest.
    """

    spec: BaseSpec
    device: torch.device
    dtype: torch.dtype
    batches: Sequence[int] = BATCHES

    def image(self, batch: int = 1) -> Tensor:
        """Random images."""
        side = self.spec.image_px
        return torch.randn(batch, 3, side, side, device=self.device)

    def autocast(self) -> torch.autocast:
        """The context that the precision needs."""
        half = self.dtype == torch.bfloat16
        return torch.autocast(self.device.type, torch.bfloat16, enabled=half)


@dataclass
class Side:
    """One side of the comparison.

    Attributes:
        encoder: image (B, 3, H, W) to features.
        batch: images at a time.
        seconds: per image, of every round.
        peak_mib: of a pass beyond what was there before.
    """

    encoder: nn.Module
    batch: int = 1
    seconds: list[float] = field(default_factory=list)
    peak_mib: float | None = None

    @property
    def median(self) -> float:
        """Seconds per image."""
        return statistics.median(self.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", choices=["vit_b", "vit_l", "vit_h"], default="vit_b")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--image-px", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument("--kernel", choices=["dense", "blocked", "sdpa", "flex"], default=None)
    parser.add_argument("--skip-training", action="store_true")
    parser.add_argument("--variants", action="store_true")
    given = parser.parse_args()
    cuda = given.device == "cuda" or (given.device == "auto" and torch.cuda.is_available())
    device = torch.device("cuda" if cuda else "cpu")
    name = torch.cuda.get_device_name() if cuda else f"{torch.get_num_threads()} threads"
    print(f"{given.base}, {given.image_px} px, {device} ({name}), torch {torch.__version__}")
    spec = replace(BASES[given.base], image_px=given.image_px)
    theirs, ours = make_encoders(spec, device)
    ours.kernel = given.kernel
    half = has_bfloat16(device)
    for dtype in [torch.float32] * (not cuda) + [torch.bfloat16] * half:
        sides = {THEIRS: Side(theirs), OURS: Side(ours)}
        compare(sides, Setting(spec, device, dtype, given.batches), given.rounds)
        if given.variants:
            compare_variants(ours, Setting(spec, device, dtype), given.rounds)
    del theirs, ours, sides
    if not given.skip_training:
        dtype = torch.bfloat16 if half else torch.float32
        compare_training(Setting(spec, device, dtype), max(3, given.rounds // 2))


def make_encoders(spec: BaseSpec, device: torch.device) -> tuple[nn.Module, SamEncoder]:
    """segment-anything's encoder and ours with the same weights, no table left at zero."""
    torch.manual_seed(0)
    theirs = ImageEncoderViT(
        img_size=spec.image_px,
        embed_dim=spec.width,
        depth=spec.depth,
        num_heads=spec.heads,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        out_chans=spec.out_channels,
        use_rel_pos=True,
        window_size=spec.window_tokens,
        global_attn_indexes=spec.global_blocks,
    )
    for parameter in theirs.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    ours = SamEncoder(spec)
    ours.load_state_dict(theirs.state_dict())
    return theirs.to(device).eval(), ours.to(device).eval()


def compare(sides: dict[str, Side], setting: Setting, rounds: int) -> None:
    """Measure both sides in one precision and print what came out."""
    print(f"\n## Inference, {str(setting.dtype).removeprefix('torch.')}\n")
    with torch.no_grad(), setting.autocast():
        image = setting.image()
        outs = [neck(side.encoder(image)).float() for side in sides.values()]
        print(f"largest difference {(outs[0] - outs[1]).abs().max():.1e}")
        for side in sides.values():
            side.batch = choose_batch(side.encoder, setting)
            work = partial(side.encoder, setting.image(side.batch))
            side.peak_mib = peak_mib(work, setting.device)
        for _ in range(rounds):
            for side in sides.values():
                side.seconds.append(seconds_per_image(side.encoder, side.batch, setting))
        rate = matrix_rate(setting)
        parts = {name: breakdown(side, setting) for name, side in sides.items()}
    flop = encoder_flop(setting.spec, setting.spec.image_px)
    print(f"matrix product: {rate / 1e12:.2f} TFLOP/s\n")
    print("| Side | Batch | ms per image | TFLOP/s | of matrix rate | Peak MiB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, side in sides.items():
        reached = flop / side.median
        print(
            f"| {name} | {side.batch} | {1000 * side.median:,.0f} | {reached / 1e12:.3f} | "
            f"{reached / rate:.0%} | {mib(side.peak_mib)} |"
        )
    print("\n| ms per image | " + " | ".join(PARTS) + " |\n| --- |" + " --- |" * len(PARTS))
    for name, seconds in parts.items():
        print(f"| {name} | " + " | ".join(f"{1000 * seconds[p]:,.0f}" for p in PARTS) + " |")
    print(f"\n{sides[THEIRS].median / sides[OURS].median:.2f} x as fast")


def compare_variants(ours: SamEncoder, setting: Setting, rounds: int) -> None:
    """Measure ours as it is, on channels-last images, and compiled; the compilation apart."""
    with torch.no_grad(), setting.autocast():
        image = setting.image()
        last = image.contiguous(memory_format=torch.channels_last)
        compiled = partial(torch.compile(ours), image)
        print(f"\ncompiled in {timed(compiled, setting.device):.0f} s")
        works = {OURS: partial(ours, image), "channels-last": partial(ours, last)}
        works["torch.compile"] = compiled
        seconds: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(rounds):
            for name, work in works.items():
                seconds[name].append(timed(work, setting.device))
    for name, several in seconds.items():
        print(f"{name}: {1000 * statistics.median(several):,.0f} ms per image")


def compare_training(setting: Setting, rounds: int) -> None:
    """Measure steps that train LoRA on a frozen encoder: forward and backward."""
    print(f"\n## LoRA step, {str(setting.dtype).removeprefix('torch.')}, batch 1\n")
    theirs, ours = make_encoders(setting.spec, setting.device)
    recomputed = copy.deepcopy(ours)
    recomputed.recompute = True
    encoders = {THEIRS: theirs, OURS: ours, RECOMPUTED: recomputed}
    sides = {name: Side(encoder.train()) for name, encoder in encoders.items()}
    image = setting.image()

    def step(encoder: nn.Module) -> None:
        with setting.autocast():
            out = neck(encoder(image))
        out.float().square().mean().backward()

    for side in sides.values():
        attach(side.encoder, AdapterConfig("lora"))
        side.encoder.to(setting.device)
        step(side.encoder)  # gradients are made once and stay
        side.peak_mib = peak_mib(partial(step, side.encoder), setting.device)
    for _ in range(rounds):
        for side in sides.values():
            side.seconds.append(timed(partial(step, side.encoder), setting.device))
    print("| Side | s per step | Peak MiB |\n| --- | --- | --- |")
    for name, side in sides.items():
        print(f"| {name} | {side.median:.2f} | {mib(side.peak_mib)} |")
    print(f"\nrecomputing: {sides[RECOMPUTED].median / sides[OURS].median:.2f} x the time")


def neck(out: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The last features of either side."""
    return out if isinstance(out, Tensor) else out[-1]


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that some work takes, the device's included."""
    synchronize(device)
    started = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - started


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_per_image(encoder: nn.Module, batch: int, setting: Setting) -> float:
    return timed(partial(encoder, setting.image(batch)), setting.device) / batch


def choose_batch(encoder: nn.Module, setting: Setting) -> int:
    """The batch with the most images per second; 1 on a CPU, whose memory it would only fill."""
    if setting.device.type == "cpu":
        return 1
    seconds: dict[int, float] = {}
    for batch in setting.batches:
        try:
            seconds_per_image(encoder, batch, setting)
            tries = [seconds_per_image(encoder, batch, setting) for _ in range(3)]
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            break
        seconds[batch] = statistics.median(tries)
    return min(seconds, key=seconds.__getitem__)


def matrix_rate(setting: Setting) -> float:
    """Operations per second of the encoder's largest matrix product, the faster of two kernels."""
    device, width = setting.device, setting.spec.width
    rows = 16_384 if device.type == "cuda" else 4_096
    a = torch.randn(rows, width, device=device, dtype=setting.dtype)
    b = torch.randn(4 * width, width, device=device, dtype=setting.dtype)
    seconds = []
    with torch.autocast(device.type, enabled=False):
        for product in (partial(token_linear, a, b), lambda: a @ b.T):
            product()
            seconds.append(statistics.median(timed(product, device) for _ in range(15)))
    return 2 * rows * 4 * width**2 / min(seconds)


def peak_mib(work: Callable[[], object], device: torch.device) -> float | None:
    """Memory that some work needs at most beyond what is there, in MiB; None if nothing tells."""
    work()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc: or what it keeps of the work before hides some
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = resident_mib("VmRSS")
        work()
        return resident_mib("VmHWM") - before
    return None


def resident_mib(name: str) -> float:
    """A figure of Linux about this process's memory."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith(name))
    return int(line.split()[1]) / 2**10


def mib(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def breakdown(side: Side, setting: Setting) -> dict[str, float]:
    """Seconds per image of the parts of one pass, each waited for by itself."""
    spent: defaultdict[str, float] = defaultdict(float)
    device = setting.device
    hooks = []
    for index, block in enumerate(side.encoder.blocks):
        attention = PARTS[1 if index in setting.spec.global_blocks else 2]
        inside = (block.attn.qkv, block.attn.proj)
        hooks += watch(block.attn, {attention: 1}, spent, device)
        for layer in inside:
            hooks += watch(layer, {PARTS[0]: 1, attention: -1}, spent, device)
        for layer in (block.mlp.lin1, block.mlp.lin2):
            hooks += watch(layer, {PARTS[0]: 1}, spent, device)
    total = timed(partial(side.encoder, setting.image(side.batch)), device)
    for hook in hooks:
        hook.remove()
    spent[PARTS[3]] = total - sum(spent.values())
    return {name: seconds / side.batch for name, seconds in spent.items()}


def watch(
    module: nn.Module,
    shares: dict[str, int],
    spent: defaultdict[str, float],
    device: torch.device,
) -> list[RemovableHandle]:
    """Add the time that a module takes to some parts, or take it from them."""
    started: list[float] = []

    def begin(*_: object) -> None:
        synchronize(device)
        started.append(time.perf_counter())

    def end(*_: object) -> None:
        synchronize(device)
        seconds = time.perf_counter() - started.pop()
        for part, share in shares.items():
            spent[part] += share * seconds

    return [module.register_forward_pre_hook(begin), module.register_forward_hook(end)]


if __name__ == "__main__":
    main()
