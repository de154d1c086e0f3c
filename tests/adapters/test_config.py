from dataclasses import asdict, replace

import pytest

from geocobot.adapters.config import AdapterConfig
from geocobot.errors import ConfigError


def test_none_takes_the_published_values_of_the_method():
    lora, adaptformer = AdapterConfig("lora"), AdapterConfig("adaptformer")
    assert (lora.rank, lora.alpha, lora.dropout) == (4, 1.0, 0.0)
    assert (adaptformer.rank, adaptformer.alpha, adaptformer.dropout) == (16, 0.1, 0.1)


def test_given_values_are_kept_even_where_they_are_zero():
    config = AdapterConfig("adaptformer", rank=8, alpha=2.0, dropout=0.0)
    assert (config.shape.rank, config.shape.alpha, config.shape.dropout) == (8, 2.0, 0.0)


def test_it_is_made_of_primitives_and_survives_a_round_trip():
    config = AdapterConfig("adaptformer", cobot=False, rank=6)
    assert AdapterConfig(**asdict(config)) == config
    assert all(isinstance(v, str | bool | int | float | tuple) for v in asdict(config).values())


def test_adaptformer_stands_beside_mlps_only():
    assert AdapterConfig("adaptformer").targets == ("mlp",)
    with pytest.raises(ConfigError, match=r"adapter targets are q,v\. AdaptFormer stands beside"):
        AdapterConfig("adaptformer", targets=("q", "v"))


@pytest.mark.parametrize("mixing", ["linear", "none"])
def test_only_quaternions_need_a_multiple_of_four(mixing):
    assert AdapterConfig(rank=6, mixing=mixing).rank == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "vera"}, "adapter method is 'vera'. Known are lora, dora, adaptformer, none"),
        ({"relation": "dense"}, "adapter relation is 'dense'. Known are learned, identity"),
        ({"mixing": "octonion"}, "adapter mixing is 'octonion'"),
        ({"targets": ()}, "adapter targets are ''"),
        ({"targets": ("q", "q")}, "adapter targets are 'q,q'"),
        ({"targets": ("q", "x")}, "adapter targets are 'q,x'. They are some of q, k, v, proj"),
        ({"init": "zeros"}, "adapter init is 'zeros'"),
        ({"rank": 0}, "adapter rank is 0. The rank is at least 1"),
        ({"rank": 6}, "adapter rank is 6. .* a multiple of 4"),
        ({"dropout": 1.0}, "adapter dropout is 1.0"),
    ],
)
def test_values_that_no_adapter_can_have_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        replace(AdapterConfig(), **change)


@pytest.mark.parametrize("method", ["none", "full"])
def test_without_sites_nothing_communicates(method):
    assert not AdapterConfig(method).cobot
    assert AdapterConfig(method) == AdapterConfig(method, cobot=False)


@pytest.mark.parametrize("control", [{"relation": "identity"}, {"mixing": "linear"}])
@pytest.mark.parametrize("rest", [{"cobot": False}, {"method": "none"}])
def test_controls_of_cobot_are_refused_without_it(control, rest):
    (name,) = control
    with pytest.raises(
        ConfigError, match=f"adapter {name} is .*, but no sites communicate. .* Leave --{name} out"
    ):
        AdapterConfig(**rest, **control)
