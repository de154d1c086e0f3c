from __future__ import annotations

import sys

import pytest

from geocobot.errors import ConfigError
from geocobot.training import trackers
from geocobot.training.fit import fit
from geocobot.training.trackers import Tracking, check_trackers

from .squares import SquaresModule, TinySegmenter
from .test_fit import PowerCutError, StoppingSegmenter, rows, settings

OPTIONS = {"base": "tiny", "raster": ["a.tif"], "epochs": None}


def tracking(*names):
    return Tracking(names, "roads", OPTIONS)


@pytest.fixture
def wandb(monkeypatch, tmp_path):
    """Weights & Biases on this machine alone; hands out what is logged."""
    module = pytest.importorskip("wandb", reason="an extra of its own")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    module.teardown()  # of what it knows of the environment
    told = []
    log, finish = module.Run.log, module.Run.finish
    monkeypatch.setattr(
        module.Run,
        "log",
        lambda run, data, *a, **k: told.append((run.id, data)) or log(run, data, *a, **k),
    )
    monkeypatch.setattr(
        module.Run,
        "finish",
        lambda run, exit_code=None: (
            told.append((run.id, (run.project, run.name, run.config.as_dict(), exit_code)))
            or finish(run, exit_code)
        ),
    )
    return told


@pytest.fixture
def mlflow(monkeypatch, tmp_path):
    """MLflow in a folder; hands out its client."""
    module = pytest.importorskip("mlflow", reason="an extra of its own")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    before = module.get_tracking_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "none")  # mlflow changes it, too
    module.set_tracking_uri((tmp_path / "store").as_uri())
    yield module.MlflowClient((tmp_path / "store").as_uri())
    module.set_tracking_uri(before)


def only_run(client):
    experiment = client.get_experiment_by_name("geocobot")
    (run,) = client.search_runs([experiment.experiment_id])
    return run


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_named_with_its_extra(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    remedy = (
        rf"--logger {name} needs a package that is not installed \({name}\).*'geocobot\[{name}\]'"
    )
    with pytest.raises(ConfigError, match=remedy):
        check_trackers(("tensorboard", name))


def test_what_comes_with_geocobot_needs_no_package(monkeypatch):
    for name in ("wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)
    check_trackers(("csv", "tensorboard"))


@pytest.mark.parametrize(
    ("names", "folders"), [(("csv",), {"csv"}), (("tensorboard", "csv"), {"csv", "tensorboard"})]
)
def test_the_csv_file_is_always_written(tmp_path, names, folders):
    how = settings(epochs=1, tracking=tracking(*names))
    result = fit(TinySegmenter(), SquaresModule(), how, tmp_path)
    assert {path.name for path in (tmp_path / "logs").iterdir()} == folders
    assert len(rows(result.log)) == 7


def test_nobody_is_asked_for_a_key_in_the_middle_of_a_run(monkeypatch, tmp_path):
    module = pytest.importorskip("wandb", reason="an extra of its own")
    module.teardown()
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"finds no key.*wandb login.*WANDB_MODE=offline"):
        check_trackers(("wandb",))


def test_offline_nobody_needs_a_key(wandb):
    check_trackers(("wandb",))


def test_figures_go_to_weights_and_biases(wandb, tmp_path, capfd):
    how = settings(epochs=2, tracking=tracking("wandb"))
    fit(TinySegmenter(), SquaresModule(), how, tmp_path)
    *figures, end = wandb
    (number,) = {number for number, _ in wandb}
    assert (tmp_path / "logs" / "wandb.id").read_text() == number
    assert list((tmp_path / "logs" / "wandb").glob(f"offline-run-*-{number}/run-{number}.wandb"))
    losses = [f["trainer/global_step"] for _, f in figures if "train_loss" in f]
    assert losses == list(range(12))
    assert len([f for _, f in figures if "val_iou" in f]) == 2
    assert end[1] == ("geocobot", "roads", OPTIONS, 0)
    assert capfd.readouterr() == ("", "")


def test_a_resumed_run_stays_one_run_at_weights_and_biases(wandb, tmp_path):
    how = {"epochs": 3, "tracking": tracking("wandb")}
    with pytest.raises(PowerCutError):
        fit(StoppingSegmenter(8), SquaresModule(), settings(**how), tmp_path)
    assert wandb[-1][1][-1] == 1
    fit(TinySegmenter(), SquaresModule(), settings(resume=True, **how), tmp_path)
    assert len({number for number, _ in wandb}) == 1
    assert wandb[-1][1][-1] == 0


def test_figures_go_to_mlflow(mlflow, tmp_path, capfd):
    how = settings(epochs=4, tracking=tracking("mlflow"))
    result = fit(TinySegmenter(), SquaresModule(), how, tmp_path)
    run = only_run(mlflow)
    assert (run.info.run_name, run.info.status) == ("roads", "FINISHED")
    assert run.data.params == {"base": "tiny", "raster": "['a.tif']", "epochs": "None"}
    assert run.info.run_id == (tmp_path / "logs" / "mlflow.id").read_text()
    steps = [m.step for m in mlflow.get_metric_history(run.info.run_id, "train_loss")]
    assert steps == [0, 10, 20]
    ious = [m.value for m in mlflow.get_metric_history(run.info.run_id, "val_iou")]
    assert ious == pytest.approx([float(r["val_iou"]) for r in rows(result.log) if r["val_iou"]])
    assert capfd.readouterr() == ("", "")


def test_a_resumed_run_stays_one_run_at_mlflow(mlflow, tmp_path):
    how = {"epochs": 3, "tracking": tracking("mlflow")}
    with pytest.raises(PowerCutError):
        fit(StoppingSegmenter(8), SquaresModule(), settings(**how), tmp_path)
    assert only_run(mlflow).info.status == "FAILED"
    fit(TinySegmenter(), SquaresModule(), settings(resume=True, **how), tmp_path)
    run = only_run(mlflow)
    assert run.info.status == "FINISHED"
    assert len(mlflow.get_metric_history(run.info.run_id, "val_iou")) == 3


def test_a_server_that_is_lost_does_not_end_a_training(mlflow, tmp_path, monkeypatch, caplog):
    log = trackers.MLFlowLogger.log_metrics

    def lose(logger, metrics, step=None):
        if step:
            raise ConnectionError("gone")
        log(logger, metrics, step)

    monkeypatch.setattr(trackers.MLFlowLogger, "log_metrics", lose)
    how = settings(epochs=3, tracking=tracking("mlflow"))
    assert fit(TinySegmenter(), SquaresModule(), how, tmp_path).epochs == 3
    assert len([m for m in caplog.messages if "takes no figures any more (gone)" in m]) == 1


def test_a_service_that_takes_no_run_is_named(mlflow, tmp_path, monkeypatch):
    sys.modules["mlflow"].set_tracking_uri("nonsense://server")
    how = settings(epochs=1, tracking=tracking("mlflow"))
    with pytest.raises(ConfigError, match=r"--logger mlflow begins no run.*MLFLOW_TRACKING_URI"):
        fit(TinySegmenter(), SquaresModule(), how, tmp_path)
