"""Features of patches on disk, so that a frozen encoder has to see every patch only once."""

from __future__ import annotations

import logging
import os
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from geocobot.models.atomic import replacing
from geocobot.models.encoder import Features

_log = logging.getLogger("geocobot.models")

_SUFFIX = ".features"
_CHECK_BYTES = 4
_SHARES = 16  # into so many parts the bound is cut, to look at the folder once per part
_COARSE_S = 2.0  # how far the clocks of file systems lag behind, FAT's the most
_FREE_DISK_BYTES = 10**9  # a full disk would cost the run its checkpoints


class FeatureCache:
    """A bounded folder of features, one file per patch, that several processes may share.

    Files appear whole or not at all, and what does not match its checksum is removed. Where the
    bound is reached, the features that were used longest ago go, but none that this run or
    another one has used since this one began: training shows its patches in turn, and of a turn
    that is longer than the cache the least recently used ones are those that come next. So the
    rest of such a turn is not kept, and what is kept serves.

    Processes count what they write themselves and look at the folder again after every sixteenth
    of the bound: it may be passed by as much per further process.

    Args:
        folder: made when something is kept; other files in it are left alone.
        max_bytes: of all files in it.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._began_s = time.time() - _COARSE_S
        self._used: set[str] = set()
        self._is_open = True
        self._bytes = 0
        self._left_to_count = 0

    def find(self, key: str) -> Features | None:
        """The features (C, h, w) of a patch, float16 as a rule; None where they are not kept.

        Args:
            key: of the patch, as for `keep`.
        """
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        if not _is_whole(key, content):
            _log.warning("%s is damaged: its features are computed again", path)
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        self._touch(path)
        return _unpack(load(content[_CHECK_BYTES:]))

    def keep(self, key: str, features: Features) -> None:
        """Write the features of a patch, if there is room; what goes wrong is said once.

        Args:
            key: names everything that the features were computed from; fit for a file name.
            features: (C, h, w) each, as `rounded` makes them.
        """
        if not self._is_open:
            return
        path = self._path(key)
        body = save(_pack(features))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._makes_room(_CHECK_BYTES + len(body)):
                with replacing(path) as temporary:
                    temporary.write_bytes(_checksum(key, body) + body)
                self._used.add(path.name)
        except OSError as error:
            self._close(f"{self.folder} cannot be written to ({error.strerror})")

    def count(self, prefix: str = "") -> int:
        """How many patches are kept whose key begins like that."""
        names = (path.name for path, _ in self._files())
        return sum(name.startswith(prefix) and name.endswith(_SUFFIX) for name in names)

    def _path(self, key: str) -> Path:
        """The file of a patch."""
        return self.folder / f"{key}{_SUFFIX}"

    def _touch(self, path: Path) -> None:
        """Note that a file is in use, once, for this process and for others."""
        if path.name not in self._used:
            self._used.add(path.name)
            with suppress(OSError):
                os.utime(path)

    def _makes_room(self, size: int) -> bool:
        """Whether so many bytes may be added; they count as added then."""
        if self._left_to_count < size or self._bytes + size > self.max_bytes:
            self._count_and_clear(size)
        if self._bytes + size > self.max_bytes:
            self._close(f"the {self.max_bytes / 1e9:g} GB are full of what is in use")
            return False
        if shutil.disk_usage(self.folder).free < size + _FREE_DISK_BYTES:
            self._close(f"{self.folder} lies on a disk that is nearly full")
            return False
        self._bytes += size
        self._left_to_count -= size
        return True

    def _count_and_clear(self, size: int) -> None:
        """Count all bytes in the folder; remove the oldest files if so many more do not fit."""
        files = sorted(self._files(), key=lambda file: file[1].st_mtime)
        share = max(size, self.max_bytes // _SHARES)
        self._bytes = sum(status.st_size for _, status in files)
        self._left_to_count = share
        if self._bytes + size <= self.max_bytes:
            return
        for path, status in files:
            if self._bytes + share <= self.max_bytes:
                return
            if status.st_mtime < self._began_s and path.name not in self._used:
                with suppress(OSError):  # on Windows, while another process reads it
                    path.unlink(missing_ok=True)
                    self._bytes -= status.st_size

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """The cache's files, half-written ones too; another process may remove any."""
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if _SUFFIX in entry.name:
                        yield Path(entry.path), entry.stat()

    def _close(self, reason: str) -> None:
        """Keep nothing more, and say why."""
        self._is_open = False
        _log.warning("No more encoder features are kept: %s.", reason)


def rounded(features: Features) -> Features:
    """Features as they are kept: float16, float32 where values lie beyond it.

    Of ViT-B's neck float16 moves values by 0.02 % in the root mean square, bfloat16 by 0.17 % in
    the same space, and computing in bfloat16 by 0.8 %.
    """
    return Features(tuple(_half(level) for level in features.levels), _half(features.neck))


def _half(tensor: Tensor) -> Tensor:
    """Float16 where that holds all values, float32 elsewhere."""
    half = tensor.half()
    return half if half.isfinite().all() else tensor.float()


def _pack(features: Features) -> dict[str, Tensor]:
    """Features by name."""
    levels = {f"level.{k}": level.contiguous() for k, level in enumerate(features.levels)}
    return {"neck": features.neck.contiguous(), **levels}


def _unpack(tensors: dict[str, Tensor]) -> Features:
    """Features from their names."""
    levels = (tensors[f"level.{k}"] for k in range(len(tensors) - 1))
    return Features(tuple(levels), tensors["neck"])


def _checksum(key: str, body: bytes) -> bytes:
    """Checksum of a file that is neither damaged nor another patch's under this name."""
    return zlib.crc32(body, zlib.crc32(key.encode())).to_bytes(_CHECK_BYTES, "little")


def _is_whole(key: str, content: bytes) -> bool:
    """Whether a file holds what was written for a key."""
    body = content[_CHECK_BYTES:]
    return content[:_CHECK_BYTES] == _checksum(key, body)
