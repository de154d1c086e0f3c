"""Pretrained weights: in the package, or in the cache after a download. Free of torch."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import urllib.request
from http.client import HTTPException
from pathlib import Path

from platformdirs import user_cache_path

from geocobot.config.values import StartName
from geocobot.errors import CheckpointError, ConfigError
from geocobot.models.atomic import replacing
from geocobot.models.bases import BaseSpec, WeightsSource
from geocobot.progress import Progress, SilentProgress

_log = logging.getLogger("geocobot.models")

HOME_VARIABLE = "GEOCOBOT_HOME"
"""Environment variable that names another cache folder."""

PACKAGE_FOLDER = Path(__file__).parent / "pretrained"
"""Where the base files lie that come with the package."""

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 30.0
_NO_PLACE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}


def cache_folder() -> Path:
    """Where pretrained weights are kept: `GEOCOBOT_HOME`, or the platform's user cache.

    Raises:
        ConfigError: that is below the user's home, and there is none, as in some containers.
    """
    named = os.environ.get(HOME_VARIABLE)
    try:
        folder = Path(named or user_cache_path("geocobot", appauthor=False)).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            "The cache folder",
            "lies in the home of the user, who has none",
            "geocobot keeps pretrained weights there",
            f"Set the environment variable {HOME_VARIABLE} to a folder, or HOME",
        ) from error
    return folder


def cached_path(spec: BaseSpec) -> Path | None:
    """Where a base's weights are, or would be, in the cache; None where none are published.

    Raises:
        ConfigError: see `cache_folder`.
    """
    return cache_folder() / spec.weights.file_name if spec.weights is not None else None


def package_path(spec: BaseSpec) -> Path | None:
    """Where the base file is that comes with the package; None where none does."""
    return PACKAGE_FOLDER / spec.bundled if spec.bundled is not None else None


def resolve_start(spec: BaseSpec, start: StartName, checkpoint: str | Path | None) -> StartName:
    """The start that a base can have.

    Args:
        spec: the base.
        start: what is asked for; "pretrained" becomes "random" where there are no weights.
        checkpoint: file with weights, if one is named.

    Raises:
        ConfigError: a random start is asked for, and weights are named.
    """
    if start == "random" and checkpoint is not None:
        raise ConfigError(
            f"--start {start}",
            f"is asked for with --checkpoint {checkpoint}",
            "A random start has no use for weights",
            "Leave one of the two out",
        )
    return start if spec.has_weights or checkpoint is not None else "random"


def fetch_weights(spec: BaseSpec, progress: Progress | None = None) -> Path:
    """The file with a base's pretrained weights: the package's own, or the cache's.

    Downloaded where the cache lacks it: written to a temporary name, checked, and renamed, so that
    the cache never holds half a file.

    Args:
        spec: the base.
        progress: shows the bytes.

    Raises:
        CheckpointError: no network, what came is not the official file, or the package lacks
            its own.
        ConfigError: the base has no pretrained weights, or the cache has no place.
    """
    if spec.bundled is not None:
        return _packaged(spec)
    source, path = spec.weights, cached_path(spec)
    if source is None or path is None:
        raise ConfigError(
            f"--base {spec.name}",
            "has no pretrained weights",
            "They come with geocobot, are published, or are in a file of your own",
            "Name such a file with --checkpoint FILE, or choose another base",
        )
    if os.path.isfile(path):
        return path
    _log.info("downloading %s (%.1f GB) to %s", source.url, source.size_bytes / 1e9, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            sha256 = _download(source, temporary, progress or SilentProgress())
            _check_sha256(sha256, source, path)
    except (OSError, HTTPException) as error:
        raise _unreachable(source, path, error) from error
    return path


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _packaged(spec: BaseSpec) -> Path:
    """The base file of the package."""
    path = package_path(spec)
    if path is None or not os.path.isfile(path):
        raise CheckpointError(
            path or spec.name,
            "does not exist",
            f"It holds the pretrained weights of {spec.name} and comes with geocobot",
            "Install geocobot again, name a copy with --checkpoint FILE, or pass --start random",
        )
    return path


def _download(source: WeightsSource, path: Path, progress: Progress) -> str:
    """Copy a URL into a file and return its SHA-256."""
    digest = hashlib.sha256()
    with (
        urllib.request.urlopen(source.url, timeout=_TIMEOUT_S) as response,  # noqa: S310 # our own
        path.open("wb") as file,
        progress.task(f"Downloading {source.file_name}", source.size_bytes) as task,
    ):
        while chunk := response.read(_CHUNK_BYTES):
            file.write(chunk)
            digest.update(chunk)
            task.advance(len(chunk))
    return digest.hexdigest()


def _check_sha256(sha256: str, source: WeightsSource, path: Path) -> None:
    """Refuse a file that is not the published one."""
    if sha256 != source.sha256:
        raise CheckpointError(
            source.url,
            f"sent a file with the SHA-256 {sha256[:12]}..., broken off or changed on its way",
            f"The official file has {source.sha256[:12]}...",
            f"Try again, or download it by other means and put it at {path}",
        )


def _unreachable(source: WeightsSource, path: Path, error: Exception) -> CheckpointError:
    """The error for a download that did not happen."""
    reason = getattr(error, "reason", None) or error
    if isinstance(error, OSError) and error.errno in _NO_PLACE:
        return CheckpointError(
            path,
            f"cannot be written ({error.strerror})",
            f"The weights of {source.size_bytes / 1e9:.1f} GB are kept there, downloaded once",
            "Free some space, let GEOCOBOT_HOME name another folder, or choose --base tiny, which "
            "needs no download",
        )
    return CheckpointError(
        source.file_name,
        f"is not at {path}, and {source.url} cannot be downloaded there ({reason})",
        "geocobot needs these weights once",
        f"Download the URL on another machine and put the file at {path}, or name it with "
        "--checkpoint FILE; or choose --base tiny, which needs no download",
    )
