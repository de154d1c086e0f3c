"""Fixtures that every room shares: rasters written on demand, and the real scenes."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from hypothesis import HealthCheck, settings
from rasterio.enums import ColorInterp

# A law does not break because the machine is busy.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# With a thread per core, threads wait for each other whenever anything else computes, and a
# training takes many times as long; with one it does not, and its sums come out the same every
# time. The variable is for the processes that tests start.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

REAL_DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"


def _random_image(
    shape_hw: tuple[int, int], bands: int, dtype: str, seed: int
) -> np.ndarray[Any, Any]:
    """Values 1 to 200, so that 0 and 255 stay free for nodata."""
    rng = np.random.default_rng(seed)
    return rng.integers(1, 201, (bands, *shape_hw)).astype(dtype)


@pytest.fixture(autouse=True)
def _log_level_of_its_own() -> Iterator[None]:
    """Commands choose how much the package says; the next test must not notice."""
    logger = logging.getLogger("geocobot")
    before = logger.level
    yield
    logger.setLevel(before)


@pytest.fixture
def scene_factory(tmp_path: Path) -> Callable[..., Path]:
    """Write a GeoTIFF into the test's folder and return its path.

    Keyword arguments of the factory:
        image: (C, H, W) or (H, W) array; random values 1 to 200 without it.
        shape_hw, bands, dtype, seed: of the random image.
        crs: anything rasterio takes; None writes none.
        transform: the affine transform; without it `res` units per pixel from `origin_xy`.
        nodata: the declared value.
        alpha: (H, W) uint8, appended as a last band and flagged as alpha.
        mask: (H, W) bool, written as the dataset's internal mask.
        descriptions: one name per band.
        profile: further creation options, such as tiled=True.
    """

    def write(
        name: str = "scene.tif",
        *,
        image: np.ndarray[Any, Any] | None = None,
        shape_hw: tuple[int, int] = (64, 96),
        bands: int = 3,
        dtype: str = "uint8",
        seed: int = 0,
        crs: Any = "EPSG:32633",
        transform: Affine | None = None,
        origin_xy: tuple[float, float] = (500_000.0, 5_000_000.0),
        res: float = 1.0,
        nodata: float | None = None,
        alpha: np.ndarray[Any, Any] | None = None,
        mask: np.ndarray[Any, Any] | None = None,
        descriptions: tuple[str, ...] = (),
        **profile: Any,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if image is None:
            image = _random_image(shape_hw, bands, dtype, seed)
        image = image[None] if image.ndim == 2 else image
        if alpha is not None:
            image = np.concatenate([image, alpha[None].astype(image.dtype)])
        elif len(image) > 3:
            # GDAL flags the fourth band of RGB as alpha unasked.
            profile.setdefault("photometric", "minisblack")
        if transform is None:
            transform = Affine(res, 0, origin_xy[0], 0, -res, origin_xy[1])
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(
                path,
                "w",
                driver="GTiff",
                count=image.shape[0],
                height=image.shape[1],
                width=image.shape[2],
                dtype=image.dtype.name,
                crs=crs,
                transform=transform,
                nodata=nodata,
                **profile,
            ) as sink,
        ):
            if alpha is not None:
                sink.colorinterp = [*sink.colorinterp[:-1], ColorInterp.alpha]
            sink.write(image)
            for number, text in enumerate(descriptions, start=1):
                sink.set_band_description(number, text)
            if mask is not None:
                sink.write_mask(mask)
        return path

    return write


@pytest.fixture
def labels_factory(tmp_path: Path) -> Callable[..., Path]:
    """Write a vector file into the test's folder and return its path.

    The factory takes the geometries, the CRS (None writes none), the name, whose ending chooses
    the format, a layer name and one list of values per field.
    """

    def write(
        shapes: Any,
        crs: Any = "EPSG:32633",
        name: str = "labels.gpkg",
        layer: str | None = None,
        **columns: Any,
    ) -> Path:
        frame = gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")
            frame.to_file(tmp_path / name, layer=layer, engine="pyogrio")
        return tmp_path / name

    return write


@dataclass(frozen=True)
class Site:
    """A folder on a server, and what the server was asked for since it was last looked at.

    Attributes:
        folder: what is served.
        url: its address.
        log: what the server writes down.
    """

    folder: Path
    url: str
    log: Path

    def requests(self) -> list[tuple[str, str, str, int, str]]:
        """Method, file, range, bytes and fault of each request; forgets them."""
        lines = [line.split("\t") for line in self.log.read_text().splitlines()]
        self.log.write_text("")
        return [(method, name, asked, int(sent), e) for method, name, asked, sent, e in lines]

    def asked(self) -> list[tuple[str, int]]:
        """File and bytes of each request; forgets them."""
        return [(name, sent) for _, name, _, sent, _ in self.requests()]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Site]]:
    """Serve the folder `site` of the test's folder on a port of its own; return the `Site`.

    Positional arguments of the factory are faults of `io/range_server.py`; keyword arguments the
    share of requests that one of them happens to, and the seed.
    """
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    script = str(Path(__file__).with_name("io") / "range_server.py")
    with ExitStack() as stack:

        def start(*faults: str, rate: float = 0.0, seed: int = 0) -> Site:
            log = tmp_path / f"requests_{len(list(tmp_path.glob('requests_*')))}.txt"
            log.touch()
            words = [script, str(folder), str(log), str(rate), str(seed), *faults]
            server = stack.enter_context(
                subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True)
            )
            stack.callback(server.kill)
            assert server.stdout is not None
            return Site(folder, f"http://127.0.0.1:{server.stdout.readline().strip()}", log)

        yield start


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real scenes; the test is skipped where they are not."""
    if not REAL_DATA.is_dir():
        pytest.skip("the real scenes (shared/data beside the repository) are not here")
    return REAL_DATA.resolve()
