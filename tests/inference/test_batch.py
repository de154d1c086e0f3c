"""Batches that fit beside the model."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from geocobot.config.values import DEFAULT_TILES
from geocobot.inference import engines
from geocobot.inference.batch import batch_within, fitting_batch
from geocobot.models.precision import Compute


@given(st.floats(0, 1e10), st.floats(1, 1e10), st.floats(0, 1e12), st.integers(1, 300))
def test_the_largest_power_of_two_that_leaves_a_margin(fixed, each, free, most):
    batch = batch_within(lambda n: fixed + n * each, free, most)
    assert batch & (batch - 1) == 0
    assert 1 <= batch <= most
    if batch > 1:
        assert fixed + batch * each <= 0.8 * free
    assert 2 * batch > most or fixed + 2 * batch * each > 0.8 * free


def test_a_cpu_takes_the_default_and_is_not_asked():
    def refuse(image):
        raise AssertionError

    cpu = Compute(torch.device("cpu"))
    for side_px, tiles in ((64, DEFAULT_TILES), (256, DEFAULT_TILES), (512, 1), (1024, 1)):
        assert fitting_batch(refuse, cpu, (3, side_px, side_px)) == tiles


def test_an_engine_finds_it_out_once(monkeypatch):
    """Scenes of one run are computed alike, whatever memory the first ones have left."""
    found = iter([8, 4])
    monkeypatch.setattr(engines, "fitting_batch", lambda *_: next(found))
    engine = engines.LocalEngine(lambda image: image, Compute(torch.device("cpu")))
    assert [engine.fitting_batch((3, 64, 64)) for _ in range(3)] == [8, 8, 8]
