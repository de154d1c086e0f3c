import pytest
import torch
from torch import nn

from geocobot.models import linear
from geocobot.models.linear import TokenLinear, token_linear


@pytest.fixture
def calls(monkeypatch):
    """Counts convolutions, on processors without AVX-512 as well."""
    made = []
    convolve = nn.functional.conv2d

    def counted(*arguments):
        made.append(arguments)
        return convolve(*arguments)

    monkeypatch.setattr(linear, "_CONVOLUTION_PAYS", True)
    monkeypatch.setattr(linear.nn.functional, "conv2d", counted)
    return made


@pytest.mark.parametrize("shape", [(1, 16, 16, 24), (320, 24), (2, 4, 32, 24)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_is_the_same_linear_layer(calls, shape, bias):
    torch.manual_seed(0)
    plain = nn.Linear(24, 40, bias=bias)
    fast = TokenLinear(24, 40, bias=bias)
    fast.load_state_dict(plain.state_dict())
    results = []
    x = torch.randn(shape)
    direction = torch.randn(*shape[:-1], 40)
    for layer in (plain, fast):
        given = x.clone().requires_grad_()
        out = layer(given)
        out.backward(direction)
        results.append((out, given.grad, [p.grad for p in layer.parameters()]))
    assert len(calls) == 1
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-5)


def test_transposed_arguments_are_taken(calls):
    x, weight = torch.randn(24, 320).T, torch.randn(24, 40).T
    torch.testing.assert_close(token_linear(x, weight), x @ weight.T, atol=1e-4, rtol=1e-5)
    assert len(calls) == 1


def test_what_no_convolution_is_faster_for_takes_the_plain_layer(calls):
    layer = TokenLinear(24, 40)
    layer(torch.randn(24))
    layer(torch.randn(112, 24))
    layer(torch.randn(321, 24))
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(320, 24)).dtype == torch.bfloat16
    layer.double()(torch.randn(320, 24, dtype=torch.float64))
    layer.to("meta")(torch.randn(320, 24, device="meta", dtype=torch.float64))
    assert not calls
