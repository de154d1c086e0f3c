"""Training and mapping with more bands than three, and in pixels of another size."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely

from geocobot.config import CheckOptions, PredictOptions, TrainOptions
from geocobot.errors import BandError, ConfigError, PixelSizeError
from geocobot.models.card import read_card
from geocobot.models.modelfile import load_model
from geocobot.workflows.check import check
from geocobot.workflows.predict import predict
from geocobot.workflows.train import train
from geocobot.yaml_file import read_yaml

WEST, NORTH = 500_000.0, 5_000_000.0
SIDE_M = 320


def bars(res: float, bands: int) -> np.ndarray[Any, Any]:
    """Bright bars 16 m wide every 64 m in the last band; the others are noise of one level."""
    side = round(SIDE_M / res)
    rng = np.random.default_rng(0)
    image = rng.integers(90, 110, (bands, side, side)).astype("uint8")
    south_m = (np.arange(side) + 0.5) * res
    image[-1, (south_m % 64 >= 16) & (south_m % 64 < 32)] += 120
    return image


@pytest.fixture
def labels(labels_factory: Callable[..., Path]) -> str:
    """The bars as polygons."""
    tops = range(16, SIDE_M, 64)
    return str(
        labels_factory(
            [shapely.box(WEST, NORTH - top - 16, WEST + SIDE_M, NORTH - top) for top in tops],
            name="bars.gpkg",
        )
    )


@pytest.fixture
def options(labels: str, tmp_path: Path) -> TrainOptions:
    """A short run; the scene is missing."""
    return TrainOptions(
        raster=(),
        labels=(labels,),
        out=str(tmp_path / "runs" / "bars"),
        patch_size=64,
        batch_size=2,
        epochs=2,
        device="cpu",
    )


class TestBands:
    @pytest.mark.slow
    def test_all_bands_are_learned_and_mapped(
        self, scene_factory: Callable[..., Path], options: TrainOptions, tmp_path: Path
    ) -> None:
        """What is to be found shows in the fifth band alone."""
        names = ("red", "green", "blue", "edge", "nir")
        scene = str(scene_factory(image=bars(1.0, 5), descriptions=names))
        result = train(replace(options, raster=(scene,), bands=("all",), epochs=8))
        segmenter, card = load_model(result.model)
        assert [r.name for r in card.ranges] == list(names)
        assert segmenter.projection is not None
        weight = segmenter.projection.weight.detach().numpy()
        assert weight.shape == (3, 5)
        assert np.abs(weight[:, 4]).max() > 1e-2
        iou = result.scores.classes[0].iou
        assert iou is not None
        assert iou > 0.5
        mapped = predict(
            PredictOptions(raster=(scene,), model=str(result.model), out=str(tmp_path / "m.gpkg"))
        )
        assert mapped.scenes[0].totals[0].polygons > 0

    def test_fewer_bands_are_repeated(
        self, scene_factory: Callable[..., Path], options: TrainOptions
    ) -> None:
        scene = str(scene_factory(image=bars(1.0, 5)))
        result = train(replace(options, raster=(scene,), bands=(5, 4), epochs=1))
        assert [r.band for r in read_card(result.model).ranges] == [5, 4, 4]

    def test_more_than_fourteen(
        self, scene_factory: Callable[..., Path], options: TrainOptions
    ) -> None:
        scene = str(scene_factory(image=bars(1.0, 15)))
        with pytest.raises(BandError, match=r"read with 15 bands\. A model reads 14 at most"):
            train(replace(options, raster=(scene,), bands=("all",)))

    def test_features_of_many_bands_are_not_kept(
        self, scene_factory: Callable[..., Path], options: TrainOptions
    ) -> None:
        scene = str(scene_factory(image=bars(1.0, 5)))
        asked = replace(options, raster=(scene,), bands=("all",), adapter="none")
        with pytest.raises(ConfigError, match="but the projection of 5 bands learns"):
            train(replace(asked, feature_cache_gb=1.0))
        result = train(replace(asked, epochs=1))
        assert read_yaml(result.config)["feature_cache_gb"] is None

    def test_check_tries_them_out(self, scene_factory: Callable[..., Path], labels: str) -> None:
        scene = str(scene_factory(image=bars(1.0, 5)))
        found = check(
            CheckOptions(
                raster=(scene,), labels=(labels,), bands=("all",), patch_size=64, device="cpu"
            )
        )
        assert found.command is not None
        assert "--bands all" in found.command
        assert found.forecast is not None


class TestTypes:
    @pytest.mark.slow
    def test_scenes_of_8_and_16_bits_are_learned_and_mapped_together(
        self, scene_factory: Callable[..., Path], options: TrainOptions, tmp_path: Path
    ) -> None:
        image = bars(1.0, 3)
        image[:] = image[-1]
        shallow = str(scene_factory("shallow.tif", image=image))
        deep = str(scene_factory("deep.tif", image=image.astype("uint16") * 40 + 1000))
        result = train(replace(options, raster=(shallow, deep)))
        card = read_card(result.model)
        assert [r.dtype for r in card.ranges] == ["uint8"] * 3 + ["uint16"] * 3
        assert card.ranges[3].low == pytest.approx(40 * card.ranges[0].low + 1000, rel=0.02)
        mapped = predict(
            PredictOptions(
                raster=(shallow, deep),
                model=str(result.model),
                out=str(tmp_path / "maps"),
                save_scores=True,
                threshold=0.5,
            )
        )
        scores = []
        for scene in mapped.scenes:
            with rasterio.open(scene.scores) as source:
                scores.append(source.read(1).astype(float))
        # The same picture, scaled to the same values but for rounding.
        assert np.abs(scores[0] - scores[1]).mean() < 3
        strange = str(scene_factory("strange.tif", image=image.astype("float32")))
        with pytest.raises(
            BandError, match=r"holds float32 values\. The model was trained on uint8 and uint16"
        ):
            predict(PredictOptions(raster=(strange,), model=str(result.model)))


class TestResolution:
    @pytest.mark.slow
    def test_a_model_trained_on_coarser_pixels_maps_the_pixels_of_the_file(
        self,
        scene_factory: Callable[..., Path],
        options: TrainOptions,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        fine = str(scene_factory("fine.tif", image=bars(0.5, 3), res=0.5))
        coarse = str(scene_factory("coarse.tif", image=bars(1.0, 3)))
        result = train(replace(options, raster=(fine, coarse), resolution=1.0))
        card = read_card(result.model)
        assert card.resampled
        assert card.ground_pixel_m == pytest.approx((1.0, 1.0), rel=1e-3)
        with caplog.at_level(logging.WARNING):
            mapped = predict(
                PredictOptions(
                    raster=(fine, coarse),
                    model=str(result.model),
                    out=str(tmp_path / "maps"),
                    save_scores=True,
                    save_classes=True,
                    min_area=0.0,
                    simplify=0.0,
                    threshold=0.5,
                )
            )
        for scene, path in zip(mapped.scenes, (fine, coarse), strict=True):
            with rasterio.open(path) as source, rasterio.open(scene.classes) as classes:
                assert (classes.transform, classes.shape) == (source.transform, source.shape)
                marked = classes.read(1) == 1
            assert scene.totals[0].area_m2 == pytest.approx(
                marked.sum() * abs(classes.transform.determinant), rel=2e-3
            )
        finely, coarsely = (_read(scene.polygons) for scene in mapped.scenes)
        assert finely.area.sum() == pytest.approx(coarsely.area.sum(), rel=0.2)

    def test_a_scene_is_resampled_where_that_is_asked_for(
        self, scene_factory: Callable[..., Path], options: TrainOptions, tmp_path: Path
    ) -> None:
        own = str(scene_factory("own.tif", image=bars(1.0, 3)))
        other = str(scene_factory("other.tif", image=bars(2.0, 3), res=2.0))
        model = str(train(replace(options, raster=(own,), epochs=1)).model)
        asked = PredictOptions(raster=(other,), model=model, out=str(tmp_path / "out.gpkg"))
        with pytest.raises(PixelSizeError, match=r"pixels of 2 m.*Pass --resolution 1 to have it"):
            predict(asked)
        with pytest.raises(
            PixelSizeError, match=r"--resolution 2 is not what .*Pass --resolution 1"
        ):
            predict(replace(asked, resolution=2.0))
        mapped = predict(replace(asked, resolution=1.0, save_scores=True))
        with rasterio.open(other) as source, rasterio.open(mapped.scenes[0].scores) as scores:
            assert (scores.transform, scores.shape) == (source.transform, source.shape)

    def test_scenes_of_several_sizes_are_refused_with_the_way_out(
        self, scene_factory: Callable[..., Path], options: TrainOptions
    ) -> None:
        fine = str(scene_factory("fine.tif", image=bars(0.5, 3), res=0.5))
        coarse = str(scene_factory("coarse.tif", image=bars(1.0, 3)))
        with pytest.raises(PixelSizeError, match="Pass --resolution 1 to have it resampled"):
            train(replace(options, raster=(fine, coarse)))

    def test_check_knows_the_resolution(
        self, scene_factory: Callable[..., Path], labels: str
    ) -> None:
        scene = str(scene_factory(image=bars(0.5, 3), res=0.5))
        found = check(
            CheckOptions(
                raster=(scene,), labels=(labels,), resolution=1.0, patch_size=64, device="cpu"
            )
        )
        assert found.is_trainable
        assert found.command is not None
        assert "--resolution 1" in found.command
        assert found.scenes[0].width_px == 320


def _read(path: Path) -> gpd.GeoDataFrame:
    """The polygons of a GeoPackage."""
    return gpd.read_file(path, layer=path.stem)
