import pytest
import torch

from geocobot.adapters.attach import attach
from geocobot.adapters.cobot import CobotSite
from geocobot.adapters.config import AdapterConfig
from geocobot.adapters.health import condition_numbers


def test_everything_starts_perfectly_conditioned(transformer):
    attach(transformer, AdapterConfig())
    assert condition_numbers(transformer) == pytest.approx(
        {"condition_s": 1, "condition_w_median": 1, "condition_w_max": 1}, rel=1e-5
    )


def test_they_see_what_training_did(transformer):
    attach(transformer, AdapterConfig(mixing="linear"))
    sites = [m for m in transformer.modules() if isinstance(m, CobotSite)]
    with torch.no_grad():
        sites[0].relation.S[0, 0] = 5
        sites[4].W.matrix.copy_(torch.diag(torch.tensor([1.0, 1.0, 2.0, 8.0])))
    found = condition_numbers(transformer)
    assert found["condition_s"] == pytest.approx(5)
    assert found["condition_w_max"] == pytest.approx(8)
    assert found["condition_w_median"] == pytest.approx(1, rel=1e-5)


def test_a_lost_direction_is_infinite(transformer):
    attach(transformer, AdapterConfig())
    with torch.no_grad():
        next(m for m in transformer.modules() if isinstance(m, CobotSite)).relation.S[:, 2] = 0
    assert condition_numbers(transformer)["condition_s"] == float("inf")


@pytest.mark.parametrize("config", [AdapterConfig(cobot=False), AdapterConfig("none")])
def test_without_cobot_there_is_nothing_to_tell(transformer, config):
    attach(transformer, config)
    assert condition_numbers(transformer) == {}
