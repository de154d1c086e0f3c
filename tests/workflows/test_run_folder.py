"""Folders of training runs: one process at a time, and a run that goes on is the same."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from geocobot.config import TrainOptions
from geocobot.errors import OutputError, ResumeError
from geocobot.workflows.run_folder import RunFolder


def options(**values: Any) -> TrainOptions:
    return TrainOptions(raster=("a.tif",), labels=("b.shp",), **values)


def claim(folder: Path, *, resume: bool = False, overwrite: bool = False) -> RunFolder:
    return RunFolder.claim(folder / "run", resume=resume, overwrite=overwrite)


def break_off(folder: Path, **values: Any) -> None:
    """A run that got as far as its first checkpoint."""
    run = claim(folder)
    with run.begun(options(**values), "same"):
        check_point(run)


def check_point(run: RunFolder) -> None:
    (run.partial / "checkpoints").mkdir()
    (run.partial / "checkpoints" / "last.ckpt").touch()


@pytest.mark.parametrize("within", ["run", "run/scene.tif", "run/*.tif", "run/a/../b.shp"])
def test_what_is_read_is_not_replaced(tmp_path: Path, within: str) -> None:
    run = claim(tmp_path)
    with run.begun(options(), "same"):
        check_point(run)
        run.finish(options())
    place = tmp_path / "run"
    with pytest.raises(OutputError, match=r"run holds .*, which is one of the inputs"):
        RunFolder.claim(place, [str(tmp_path / within)], resume=False, overwrite=True)
    beside = [str(tmp_path / "run2" / "scene.tif"), "https://host/run/scene.tif"]
    assert RunFolder.claim(place, beside, resume=False, overwrite=True).overwrite


def test_an_interrupted_run_leaves_one_folder(tmp_path: Path) -> None:
    break_off(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["run.partial"]


def test_a_finished_run_leaves_one_folder(tmp_path: Path) -> None:
    run = claim(tmp_path)
    with run.begun(options(), "same"):
        check_point(run)
        run.finish(options())
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert [path.name for path in run.target.iterdir()] == ["config.yaml"]


def test_a_nodata_value_that_is_no_number_is_the_same_again(tmp_path: Path) -> None:
    break_off(tmp_path, nodata=math.nan)
    run = claim(tmp_path, resume=True)
    with run.begun(options(nodata=math.nan), "same"):
        assert run.resumed


@pytest.mark.parametrize(
    ("now", "fingerprint", "named"),
    [
        ({"nodata": 0.0}, "same", r"other nodata \(was nan\)"),
        ({"nodata": math.nan}, "another", "other scenes, labels or weights"),
    ],
)
def test_other_inputs_are_noticed(
    tmp_path: Path, now: dict[str, Any], fingerprint: str, named: str
) -> None:
    break_off(tmp_path, nodata=math.nan)
    run = claim(tmp_path, resume=True)
    with pytest.raises(ResumeError, match=named), run.begun(options(**now), fingerprint):
        pass


@pytest.mark.parametrize("consent", [{"resume": True}, {"overwrite": True}], ids=str)
def test_what_broke_off_before_its_first_checkpoint_starts_anew(
    tmp_path: Path, consent: dict[str, bool]
) -> None:
    with claim(tmp_path).begun(options(), "same"):
        pass
    run = claim(tmp_path, **consent)
    with run.begun(options(nodata=7.0), "another"):
        assert not run.resumed


@pytest.mark.parametrize("consent", [{"resume": True}, {"overwrite": True}], ids=str)
def test_one_process_at_a_time_trains_into_a_folder(
    tmp_path: Path, consent: dict[str, bool]
) -> None:
    break_off(tmp_path)
    first, second = (claim(tmp_path, **consent) for _ in range(2))
    with first.begun(options(), "same"):
        before = sorted(first.partial.rglob("*"))
        with (
            pytest.raises(OutputError, match=r"run.partial is in use.*Wait for the other one"),
            second.begun(options(), "same"),
        ):
            pass
        assert sorted(first.partial.rglob("*")) == before
    with claim(tmp_path, **consent).begun(options(), "same"):
        pass


def test_two_that_begin_together_do_not_share_a_folder(tmp_path: Path) -> None:
    """Both found no run there; the slower one must not delete what the faster one has."""
    faster, slower = claim(tmp_path), claim(tmp_path)
    with (
        faster.begun(options(), "same"),
        pytest.raises(OutputError, match=r"run.partial is in use"),
        slower.begun(options(), "same"),
    ):
        pass
    with (
        pytest.raises(OutputError, match=r"run.partial exists already"),
        slower.begun(options(), ""),
    ):
        pass
    with claim(tmp_path, overwrite=True).begun(options(), "same"):
        check_point(faster)
        faster.finish(options())
    with pytest.raises(OutputError, match=r"run exists already"), slower.begun(options(), "same"):
        pass
