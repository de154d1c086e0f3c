import csv

import pytest
from torch import nn

from geocobot.adapters.attach import attach
from geocobot.adapters.config import AdapterConfig
from geocobot.training.fit import FitSettings, fit
from geocobot.training.health import AdapterHealth

from .squares import SquaresModule, TinySegmenter


def spikes_of(losses):
    """How many spikes an epoch with these losses has."""
    health = AdapterHealth()
    health.on_train_epoch_start(None, None)
    for loss in losses:
        health.on_train_batch_end(None, None, {"loss": loss}, None, 0)
    return health._spikes


def test_a_spike_is_a_loss_above_twice_the_median():
    calm = [1.0, 1.2, 0.9] * 8
    assert spikes_of(calm) == 0
    assert spikes_of([*calm, 2.5, 1.0, 1.9, 3.0]) == 2


def test_the_first_steps_of_a_run_are_no_spikes():
    assert spikes_of([0.1, 5.0, 7.0, 9.0]) == 0


class Attentive(TinySegmenter):
    """A segmenter whose body is followed by an adapted projection of its channels."""

    def __init__(self):
        super().__init__()
        self.attn = nn.Module()
        self.attn.qkv = nn.Linear(8, 24)
        attach(self.attn, AdapterConfig())

    def forward(self, image):
        features = self.norm(self.body(self.stem(image).relu())).movedim(1, -1)
        q, k, v = self.attn.qkv(features).chunk(3, dim=-1)
        return self.head((features + q * k + v).movedim(-1, 1))


def test_the_log_has_the_figures_of_every_epoch(tmp_path):
    settings = FitSettings(n_classes=1, epochs=2, log_health=True)
    log = fit(Attentive(), SquaresModule(), settings, tmp_path).log
    with log.open() as file:
        rows = [row for row in csv.DictReader(file) if row["loss_spikes"]]
    assert len(rows) == 2
    assert all(float(row["condition_s"]) >= 1 for row in rows)
    assert all(float(row["condition_w_max"]) >= float(row["condition_w_median"]) for row in rows)


@pytest.mark.parametrize("log_health", [False, True])
def test_it_is_logged_on_request_only(tmp_path, log_health):
    segmenter = TinySegmenter()
    settings = FitSettings(n_classes=1, epochs=1, log_health=log_health)
    log = fit(segmenter, SquaresModule(), settings, tmp_path).log
    assert ("loss_spikes" in log.read_text()) == log_health
