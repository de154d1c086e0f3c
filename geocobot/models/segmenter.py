"""The segmenter: encoder with adapters and head, from an image in 0..1 to logits per class."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from geocobot.adapters.attach import adapter_state, attach
from geocobot.adapters.config import AdapterConfig
from geocobot.config.values import HeadName, PromptName, StartName
from geocobot.models.architecture import SegmenterConfig
from geocobot.models.bases import PATCH_PX, find_base
from geocobot.models.boxes import Boxes
from geocobot.models.checkpoint import Checkpoint, load_checkpoint
from geocobot.models.encoder import Features, SamEncoder
from geocobot.models.heads import head_config, make_head, resolve_head
from geocobot.models.projection import N_COLORS, BandProjection
from geocobot.models.weights import resolve_start
from geocobot.progress import Progress, SilentProgress

_log = logging.getLogger("geocobot.models")

# What segment-anything subtracts and divides by, for values from 0 to 1.
_PIXEL_MEAN = tuple(v / 255 for v in (123.675, 116.28, 103.53))
_PIXEL_STD = tuple(v / 255 for v in (58.395, 57.12, 57.375))


class Segmenter(nn.Module):
    """An encoder and a head behind SAM's pixel normalization.

    Args:
        encoder: (B, 3, H, W) normalized images to `Features`.
        head: features and the normalized image to (B, K, H, W) logits; with box prompts also
            `Boxes`, to (N, H, W) logits.
        config: what they were built from, for the model file; None for parts of other make.
        projection: (B, C, H, W) images to the three bands that the encoder takes; None where they
            have no more.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        config: SegmenterConfig | None = None,
        projection: BandProjection | None = None,
    ) -> None:
        super().__init__()
        self.projection = projection
        self.encoder = encoder
        self.head = head
        self.config = config
        mean = torch.tensor(_PIXEL_MEAN).view(3, 1, 1)
        std = torch.tensor(_PIXEL_STD).view(3, 1, 1)
        self.register_buffer("pixel_mean", mean, persistent=False)
        self.register_buffer("pixel_std", std, persistent=False)

    @property
    def n_bands(self) -> int:
        """Bands of the images."""
        return N_COLORS if self.projection is None else self.projection.weight.shape[1]

    @property
    def encoder_trained(self) -> bool:
        """Whether the encoder's own weights are trained, and not only its adapters."""
        return self.config is not None and self.config.encoder_trained

    @property
    def starts_at_random(self) -> bool:
        """Whether the encoder had no pretrained weights when training began."""
        return self.config is not None and self.config.base_sha256 is None

    @property
    def separates(self) -> bool:
        """Whether the last plane is of the insides of single objects."""
        return self.config is not None and self.config.head.separate

    @property
    def prompt(self) -> PromptName:
        """What the head has to be asked with, beside the image."""
        return "none" if self.config is None else self.config.head.prompt

    def forward(self, image: Tensor, *prompts: Boxes) -> Tensor:
        """Segment images.

        Args:
            image: (B, C, H, W) float, 0..1, 0.5 where not valid; H and W multiples of 16.
            prompts: one set of N boxes, if the head wants to be asked with boxes.

        Returns:
            (B, K, H, W) logits; (N, H, W) with boxes.

        Raises:
            ValueError: another number of bands, or a size that tokens do not divide.
        """
        features, normalized = self.encode(image)
        logits: Tensor = self.head(features, normalized, *prompts)
        return logits

    def encode(self, image: Tensor) -> tuple[Features, Tensor]:
        """Do the part of `forward` that no prompt has a say in.

        Returns:
            The features and the normalized image (B, 3, H, W), for the head.
        """
        if image.shape[1] != self.n_bands or image.shape[2] % PATCH_PX or image.shape[3] % PATCH_PX:
            raise ValueError(
                f"image is {tuple(image.shape)}; needed is (B, {self.n_bands}, H, W), H and W "
                f"multiples of {PATCH_PX}"
            )
        if self.projection is not None:
            image = self.projection(image)
        normalized = (image - self.pixel_mean) / self.pixel_std
        return self.encoder(normalized), normalized


def build_segmenter(
    base: str,
    n_classes: int,
    adapter: AdapterConfig | None = None,
    *,
    head: HeadName = "auto",
    prompt: PromptName = "none",
    start: StartName = "pretrained",
    checkpoint: str | Path | None = None,
    train_encoder: bool | None = None,
    n_bands: int = N_COLORS,
    separate: bool = False,
    seed: int = 0,
    recompute: bool = False,
    progress: Progress | None = None,
) -> Segmenter:
    """Build a segmenter that is ready to be trained.

    With pretrained weights the encoder is frozen; its adapters and the head are trained. From a
    random start, and with the adapter method "full", the encoder is trained as well.

    Args:
        base: name of the backbone, see `geocobot.models.bases`.
        n_classes: planes of logits that stand for classes.
        adapter: how the encoder is adapted; None attaches nothing.
        head: what turns features into logits; auto as `geocobot.models.heads.resolve_head` has it.
            It starts from the weights that the base has for it, if any.
        prompt: what the head is asked with, beside the image.
        start: whether pretrained weights are taken; a base without any starts at random.
        checkpoint: file with the base's weights; None takes the package's own, or the cache's, or
            downloads.
        train_encoder: whether the encoder's own weights are trained; None decides as above. False
            keeps even a random encoder as it is, as a control.
        n_bands: of the images, three at least; the first three are red, green and blue.
        separate: whether there is a plane of the insides of single objects as well, the last one.
        seed: of everything that starts at random. The global generator is left as it is.
        recompute: whether the encoder saves memory in training, see `SamEncoder`.
        progress: shows the download.

    Raises:
        ConfigError: no such base, or a random start with a checkpoint.
        CheckpointError: the weights cannot be had, or are not the base's.
        ValueError: `train_encoder` is False with the adapter method "full".
    """
    spec = find_base(base)
    start = resolve_start(spec, start, checkpoint)
    adapter = adapter or AdapterConfig(method="none")
    trained = _trains_encoder(start, adapter, train_encoder)
    kind = resolve_head(head, spec, start, prompt=prompt)
    weights = None
    if start == "pretrained":
        weights = load_checkpoint(spec, checkpoint, progress or SilentProgress())
        if not weights.has_head(kind):
            _log.info("The weights of %s have no head %s: it starts at random", base, kind)
    else:
        reason = "starts at random, as asked" if spec.has_weights else "has no pretrained weights"
        fate = "is trained as well" if trained else "stays as it is"
        _log.info("%s %s: its encoder %s", base, reason, fate)
    config = SegmenterConfig(
        base=base,
        base_sha256=weights.sha256 if weights else None,
        adapter=adapter,
        head=head_config(spec, n_classes, kind, start, prompt=prompt, separate=separate),
        encoder_trained=trained,
        n_bands=n_bands,
    )
    return assemble(config, weights, seed=seed, recompute=recompute)


def assemble(
    config: SegmenterConfig,
    weights: Checkpoint | None,
    *,
    seed: int = 0,
    recompute: bool = False,
) -> Segmenter:
    """Build a segmenter from its configuration and the base's weights.

    Args:
        config: what to build.
        weights: the base's pretrained weights; None where the encoder starts at random.
        seed: of everything that starts at random. The global generator is left as it is.
        recompute: whether the encoder saves memory in training, see `SamEncoder`.
    """
    spec = find_base(config.base)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # Without storage at first: the pretrained weights take their place as they are.
        with torch.device("cpu" if weights is None else "meta"):
            encoder = SamEncoder(spec, recompute=recompute)
        head = make_head(config.head)
        if weights is not None:
            encoder.load_state_dict(weights.encoder_state(), assign=True)
            weights.start_head(head)
        attach(encoder, config.adapter)
    if config.encoder_trained:
        # What adapters freeze of themselves, as controls, stays so.
        own = encoder.named_parameters()
        adapters = adapter_state(encoder)
        for parameter in (p for name, p in own if name not in adapters):
            parameter.requires_grad_()
    projection = BandProjection(config.n_bands) if config.n_bands > N_COLORS else None
    return Segmenter(encoder, head, config, projection)


def _trains_encoder(start: StartName, adapter: AdapterConfig, asked: bool | None) -> bool:
    """Whether the encoder's own weights are trained."""
    if asked is None:
        return start == "random" or adapter.method == "full"
    if adapter.method == "full" and not asked:
        raise ValueError('the adapter method "full" trains the encoder; "none" freezes it')
    return asked
