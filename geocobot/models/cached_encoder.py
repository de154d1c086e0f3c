"""A frozen encoder that remembers what it has seen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from geocobot._version import __version__
from geocobot.models.encoder import Features
from geocobot.models.feature_cache import FeatureCache, rounded
from geocobot.models.segmenter import Segmenter

_FORMAT = 1  # of the files; the release stands for how encoders compute
_PROBE_PX = 64
_FILE_BYTES = 512  # header and checksum, generously
_HALF_BYTES = 2


class CachedEncoder(nn.Module):
    """Takes features from a cache, and computes and keeps those that are not there.

    New features are rounded as kept ones are, so that a patch has the same features whenever it
    is shown. The encoder runs without gradients and in evaluation mode.

    Args:
        encoder: (B, 3, H, W) normalized images to `Features`, nothing in it trained; samples of
            a batch do not depend on each other.
        cache: where features are kept.
        identity: of the encoder, see `identify`.
        with_levels: whether the head asks for the levels; without, they are neither kept nor
            handed out.
    """

    def __init__(
        self, encoder: nn.Module, cache: FeatureCache, identity: str, *, with_levels: bool
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.cache = cache
        self.identity = identity
        self.with_levels = with_levels
        self.shown = 0
        self.encoded = 0

    @torch.no_grad()
    def forward(self, x: Tensor) -> Features:
        """Encode normalized images, each of them once.

        Args:
            x: (B, 3, H, W) float, as the encoder takes it.

        Returns:
            The encoder's features in the dtype and on the device of `x`.
        """
        keys = [self._key(sample) for sample in x]
        found = {key: kept for key in keys if (kept := self.cache.find(key)) is not None}
        missing = {key: i for i, key in enumerate(keys) if key not in found}
        if missing:
            features = self._encode(x[list(missing.values())])
            for key, new in zip(missing, features, strict=True):
                found[key] = new
                self.cache.keep(key, new)
        self.shown += len(x)
        self.encoded += len(missing)
        return _batch([found[key] for key in keys], x)

    def _encode(self, x: Tensor) -> list[Features]:
        """The features (C, h, w) of each sample, on the CPU and rounded."""
        was_training = self.encoder.training
        features = self.encoder.eval()(x)
        # As it was: Lightning remembers the mode of every module.
        self.encoder.train(was_training)
        kept = Features(features.levels if self.with_levels else (), features.neck)
        neck = kept.neck.cpu()
        levels = [level.cpu() for level in kept.levels]
        return [
            rounded(Features(tuple(level[i] for level in levels), neck[i])) for i in range(len(x))
        ]

    def _key(self, sample: Tensor) -> str:
        """A name for all that the features of a sample follow from."""
        device = sample.device.type
        computed = (
            torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else sample.dtype
        )
        rest = f"{_FORMAT} {__version__} {self.identity} {computed} {self.with_levels}"
        digest = hashlib.blake2b(f"{rest} {sample.dtype} {tuple(sample.shape)} ".encode())
        digest.update(_bytes_of(sample))
        return f"{self.prefix}-{digest.hexdigest()[:40]}"

    @property
    def prefix(self) -> str:
        """How the keys of this encoder begin."""
        return self.identity[:12]


@contextmanager
def reusing_features(segmenter: Segmenter, cache: FeatureCache) -> Iterator[CachedEncoder]:
    """Let a segmenter take the features of its frozen encoder from a cache.

    Inside the `with` block its encoder is a `CachedEncoder`; afterwards it is itself again.

    Args:
        segmenter: its encoder has nothing that is trained.
        cache: where features are kept.

    Raises:
        ValueError: something in the encoder, or before it, is trained.
    """
    encoder = segmenter.encoder
    if not has_fixed_features(segmenter):
        raise ValueError("features of an encoder cannot be kept where it or its input is trained")
    name = segmenter.config.base if segmenter.config else type(encoder).__name__
    cached = CachedEncoder(
        encoder, cache, identify(encoder, name), with_levels=_needs_levels(segmenter)
    )
    segmenter.encoder = cached
    try:
        yield cached
    finally:
        segmenter.encoder = encoder


def has_fixed_features(segmenter: Segmenter) -> bool:
    """Whether an image has the same features throughout training."""
    is_frozen = not any(parameter.requires_grad for parameter in segmenter.encoder.parameters())
    return is_frozen and segmenter.projection is None


def identify(encoder: nn.Module, name: str) -> str:
    """SHA-256 of an encoder: its name, and the names and values of all its tensors.

    Of the tensors and not of the weights' file alone, which tells nothing of adapters.

    Args:
        encoder: what computes the features.
        name: what shapes it beside its tensors.
    """
    digest = hashlib.sha256(name.encode())
    for key, tensor in encoder.state_dict().items():
        digest.update(f" {key} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(_bytes_of(tensor))
    return digest.hexdigest()


@torch.no_grad()
def kept_bytes(segmenter: Segmenter, side_px: int) -> int:
    """How much disk the features of a square patch take, as its head asks for them.

    Args:
        segmenter: on the CPU.
        side_px: of the patch.
    """
    features: Features = segmenter.encoder(torch.zeros(1, 3, _PROBE_PX, _PROBE_PX))
    kept = [features.neck, *(features.levels if _needs_levels(segmenter) else ())]
    values = sum(tensor.numel() for tensor in kept) * (side_px / _PROBE_PX) ** 2
    return _FILE_BYTES + round(values * _HALF_BYTES)


def _needs_levels(segmenter: Segmenter) -> bool:
    """Whether the head looks at the levels; one that does not say might."""
    return bool(getattr(segmenter.head, "needs_levels", True))


def _bytes_of(tensor: Tensor) -> Any:
    """The values of a tensor as a buffer of bytes."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


def _batch(features: Sequence[Features], like: Tensor) -> Features:
    """Join features (C, h, w) into a batch in the dtype and on the device of a tensor."""

    def joined(planes: Iterable[Tensor]) -> Tensor:
        # Converted first: autocast on a CPU refuses to stack float16.
        return torch.stack([plane.to(like) for plane in planes])

    levels = zip(*(f.levels for f in features), strict=True)
    return Features(tuple(joined(level) for level in levels), joined(f.neck for f in features))
