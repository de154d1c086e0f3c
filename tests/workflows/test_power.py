from __future__ import annotations

import torch

from geocobot.models.precision import Compute
from geocobot.workflows.power import describe_machine


def test_gpus_of_a_cluster_need_none_here(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    compute = Compute(torch.device("cuda"), "bfloat16")
    assert describe_machine(compute) == "GPUs of a cluster, bfloat16"
