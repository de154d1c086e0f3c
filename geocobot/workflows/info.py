"""What a bug report needs: versions, GDAL, devices, cache; without names of users."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from geocobot._version import __version__
from geocobot.errors import ConfigError
from geocobot.workflows.gdal import GdalBuild, inspect_gdal, set_variables
from geocobot.workflows.privacy import hide

PACKAGES = (
    "torch",
    "torchvision",
    "lightning",
    "torchgeo",
    "segment-anything",
    "numpy",
    "rasterio",
    "pyogrio",
    "pyproj",
    "geopandas",
    "shapely",
    "safetensors",
)


@dataclass(frozen=True)
class Gpu:
    """A CUDA device."""

    name: str
    memory_bytes: int
    bf16: bool


@dataclass(frozen=True)
class Machine:
    """What there is to compute on.

    Attributes:
        cpus: logical processors.
        usable_cpus: those that this process may use.
        threads: threads torch computes with; None where torch cannot be imported.
        bf16: whether the processor has instructions for bfloat16.
        memory_bytes: main memory; None where the system does not tell.
        cuda: CUDA version that torch was built for; None for a build without.
        gpus: CUDA devices.
    """

    cpus: int
    usable_cpus: int
    threads: int | None
    bf16: bool
    memory_bytes: int | None
    cuda: str | None
    gpus: tuple[Gpu, ...]


@dataclass(frozen=True)
class Subfolder:
    """What a folder within the cache holds, as that of encoder features does by the thousand."""

    files: int
    bytes: int


@dataclass(frozen=True)
class Cache:
    """The folder that base weights are kept in.

    Attributes:
        folder: its path, with ~ for the home.
        files: name and size in bytes of every file.
        subfolders: the same of what lies in its folders, together, by their names.
        free_bytes: space left on that disk.
    """

    folder: str
    files: Mapping[str, int]
    subfolders: Mapping[str, Subfolder]
    free_bytes: int

    def rows(self) -> dict[str, str]:
        """Folder and files by title."""
        files = [f"{name}, {_mib(size)}" for name, size in self.files.items()]
        files += [
            f"{name}/, {f.files:,} files, {_mib(f.bytes)}" for name, f in self.subfolders.items()
        ]
        return {
            "folder": f"{self.folder}, {_gib(self.free_bytes)} free",
            **{f"file {i}": text for i, text in enumerate(files)},
        }


@dataclass(frozen=True)
class Info:
    """Everything `geocobot info` shows.

    Attributes:
        packages: versions by package name; "missing" where it is not installed.
        environment: variables that lead GDAL and PROJ to their data, where set.
        cache: None where there is no home to keep it in.
        warnings: what is wrong with this installation, and what to do about it.
    """

    geocobot: str
    python: str
    platform: str
    packages: Mapping[str, str]
    gdal: tuple[GdalBuild, ...]
    environment: Mapping[str, str]
    machine: Machine
    cache: Cache | None
    warnings: tuple[str, ...]

    def summary(self) -> str:
        """Lay everything out as text for a bug report."""
        gpus = [f"{g.name}, {_gib(g.memory_bytes)}, {_bf16(g.bf16)}" for g in self.machine.gpus]
        cpu = (
            f"{self.machine.usable_cpus} of {self.machine.cpus} processors usable, "
            f"{self.machine.threads or 'no'} torch threads, {_gib(self.machine.memory_bytes)}, "
            f"{_bf16(self.machine.bf16)}"
        )
        sections = {
            "": {"geocobot": self.geocobot, "python": self.python, "platform": self.platform},
            "packages": self.packages,
            "gdal": {
                b.package: ", ".join(
                    filter(None, [b.gdal and f"GDAL {b.gdal}", b.proj and f"PROJ {b.proj}", b.data])
                )
                for b in self.gdal
            },
            "environment": self.environment or {"none": "no variable leads GDAL or PROJ elsewhere"},
            "machine": {
                "cpu": cpu,
                "cuda": f"torch built for {self.machine.cuda}" if self.machine.cuda else "none",
                **{f"gpu {i}": text for i, text in enumerate(gpus)},
            },
            "cache": self.cache.rows() if self.cache else {},
            "warnings": {str(i): text for i, text in enumerate(self.warnings, 1)},
        }
        return "\n".join(
            line for title, rows in sections.items() if rows for line in _section(title, rows)
        )


def collect_info() -> Info:
    """Look at this installation and machine; nothing that is broken stops it."""
    machine, machine_warnings = _inspect_machine()
    builds, gdal_warnings = inspect_gdal()
    cache, cache_warnings = _inspect_cache()
    return Info(
        geocobot=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        packages={name: _version(name) for name in PACKAGES},
        gdal=builds,
        environment=set_variables(),
        machine=machine,
        cache=cache,
        warnings=(*machine_warnings, *gdal_warnings, *cache_warnings),
    )


def _version(package: str) -> str:
    """Version of a package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _inspect_machine() -> tuple[Machine, tuple[str, ...]]:
    """Count processors, memory and CUDA devices, and say if torch is broken."""
    cpus = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cpus
    try:
        import torch
        import torchvision  # noqa: F401 - fails where it does not match torch
    except Exception as error:  # a mismatched pair raises RuntimeError, a broken wheel OSError
        warning = (
            f"torch or torchvision cannot be imported ({error}). They have to be a matching "
            f"pair from the same source: install both again with constraints.txt."
        )
        return Machine(cpus, usable, None, False, _memory_bytes(), None, ()), (hide(warning),)
    from geocobot.models.precision import has_bfloat16

    gpus = []
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        # bf16 in hardware came with compute capability 8.0.
        gpus.append(Gpu(device.name, device.total_memory, device.major >= 8))
    threads = torch.get_num_threads()
    bf16 = has_bfloat16(torch.device("cpu"))
    machine = Machine(cpus, usable, threads, bf16, _memory_bytes(), torch.version.cuda, tuple(gpus))
    return machine, ()


def _bf16(is_there: bool) -> str:
    """Whether a device has instructions for bfloat16, in words."""
    return "bf16" if is_there else "no bf16"


def _memory_bytes() -> int | None:
    """Main memory, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return None


def _inspect_cache() -> tuple[Cache | None, tuple[str, ...]]:
    """Look into the cache folder, which need not exist, and say if it has no place."""
    from geocobot.models.weights import cache_folder

    try:
        folder = cache_folder()
    except ConfigError as error:
        return None, (str(error),)
    # A home that belongs to somebody else may not be entered: os.path finds nothing there, where
    # Path would raise.
    inside = folder.rglob("*") if os.path.isdir(folder) else ()
    files: dict[str, int] = {}
    below: dict[str, list[int]] = {}
    for path in sorted(p for p in inside if os.path.isfile(p)):
        first, *rest = path.relative_to(folder).parts
        if rest:
            below.setdefault(first, []).append(path.stat().st_size)
        else:
            files[first] = path.stat().st_size
    subfolders = {name: Subfolder(len(sizes), sum(sizes)) for name, sizes in below.items()}
    existing = next(p for p in (folder, *folder.absolute().parents) if os.path.isdir(p))
    return Cache(hide(str(folder)), files, subfolders, shutil.disk_usage(existing).free), ()


def _section(title: str, rows: Mapping[str, str]) -> list[str]:
    """A title and its rows, the values aligned."""
    width = max(map(len, rows)) + 2
    head = ["", title] if title else []
    indent = "  " if title else ""
    return [*head, *(f"{indent}{name:<{width}}{value}" for name, value in rows.items())]


def _gib(size_bytes: int | None) -> str:
    """Bytes as GiB."""
    return "unknown memory" if size_bytes is None else f"{size_bytes / 2**30:.1f} GiB"


def _mib(size_bytes: int) -> str:
    """Bytes as MiB."""
    return f"{size_bytes / 2**20:.1f} MiB"
