"""Splits and loaders on real scenes, whose transforms no test would make up."""

from __future__ import annotations

import logging

import pytest

from geocobot.data.module import SceneDataModule
from geocobot.data.rectangles import area
from geocobot.data.samplers import TileSampler, windows_of
from geocobot.data.split import choose_patch_px, split_scenes
from geocobot.data.survey import survey_scene
from geocobot.io.label_files import LabelChoice, read_labels
from geocobot.io.scene import Scene
from geocobot.io.statistics import measure_ranges
from geocobot.tiling import TilePlan
from geocobot.windows import grown, intersect

CASES = {
    "vegas_roads": (["vegas_roads/scene.tif"], "vegas_roads/roads.geojson", None, 320),
    "vegas_multiclass": (
        ["vegas_multiclass/scene_rgb8.tif"],
        "vegas_multiclass/labels.geojson",
        "label",
        128,
    ),
    "kampala_buildings": (
        ["kampala_buildings/scene_a.tif", "kampala_buildings/scene_b.tif"],
        "kampala_buildings/labels.geojson",
        None,
        512,
    ),
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_real_scene_is_split_and_loaded(real_data, case):
    files, label_file, class_field, expected_px = CASES[case]
    scenes = [Scene.open(real_data / name) for name in files]
    labels = read_labels([real_data / label_file], LabelChoice(class_field=class_field))
    rasters = [labels.on(scene.grid, scene.name) for scene in scenes]
    surveys = [survey_scene(s, r) for s, r in zip(scenes, rasters, strict=True)]
    patch_px = choose_patch_px(surveys, 512)
    logging.getLogger("geocobot.data").info("%s: %d px", case, patch_px)
    assert patch_px == expected_px
    splits = split_scenes(surveys, patch_px)
    for split in splits:
        assert all(
            intersect(grown(b, split.gap_px), r) is None for b in split.val for r in split.train
        )
    counts = sum(
        survey.counts(split.val).sum(axis=0) for survey, split in zip(surveys, splits, strict=True)
    )
    assert (counts > 0).all()
    assert sum(area(split.val) for split in splits) > 0.1 * sum(
        s.grid.height * s.grid.width for s in scenes
    )
    module = SceneDataModule(
        scenes,
        measure_ranges(scenes),
        rasters,
        splits,
        surveys,
        batch_size=2,
        steps_per_epoch=3,
    )
    batches = [*module.train_dataloader(), *module.val_dataloader()]
    assert all(batch["image"].shape[-2:] == (patch_px, patch_px) for batch in batches)
    assert all(batch["valid"].any() for batch in batches)
    for dataset in module.collection.datasets:
        tiles = windows_of(TileSampler(dataset, size_px=320, stride_px=240), dataset.grid)
        plan = TilePlan.of(dataset.grid, tiles, overlap_px=80)
        assert plan.windows == tuple(tiles)
