"""Where to compute, and how exactly."""

import pytest
import torch

from geocobot.errors import DeviceError
from geocobot.workflows import device
from geocobot.workflows.device import choose_compute, choose_device, device_name


@pytest.fixture(params=[True, False], ids=["native", "emulated"])
def is_native(request, monkeypatch):
    """Whether this CPU has instructions for bfloat16, as far as geocobot knows."""
    monkeypatch.setattr(device, "has_bfloat16", lambda _: request.param)
    return request.param


def test_auto_is_bfloat16_where_it_is_native(is_native):
    compute = choose_compute("cpu", "auto")
    assert compute.precision == ("bfloat16" if is_native else "float32")
    assert compute.device == torch.device("cpu")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_asked_for_holds_and_slow_choices_are_named(is_native, precision, caplog):
    assert choose_compute("cpu", precision).precision == precision
    is_slow = precision == "bfloat16" and not is_native
    assert ("This CPU has no instructions for bfloat16" in caplog.text) is is_slow


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_the_gpu_where_there_is_one(monkeypatch, there, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_device("auto").type == expected
    assert choose_device("cpu").type == "cpu"


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"--device cuda finds no GPU .* pass --device cpu"):
        choose_device("cuda")


def test_a_cpu_is_named_with_its_threads() -> None:
    name = device_name(torch.device("cpu"))
    assert name.startswith("CPU, ")
    assert name.endswith(f" {torch.get_num_threads()} threads")
