from __future__ import annotations

import torch

from geocobot.config import PredictOptions
from geocobot.models.precision import Compute
from geocobot.workflows.engine import threads_of_each
from geocobot.workflows.power import describe_energy, describe_machine


def test_gpus_of_a_cluster_need_none_here(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    compute = Compute(torch.device("cuda"), "bfloat16")
    assert describe_machine(compute) == "GPUs of a cluster, bfloat16"


def test_energy_counts_gpus_or_cores():
    gpu, cpu = (Compute(torch.device(kind), "float32") for kind in ("cuda", "cpu"))
    assert describe_energy(gpu, 2, 3600.0) == "about 6e+02 Wh, at 300 W per GPU"
    assert describe_energy(cpu, 4, 3600.0) == "about 40 Wh, at 10 W per core"


def test_processes_share_the_cores(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)

    def each(**options):
        return threads_of_each(PredictOptions(raster=("a.tif",), model="m", **options))

    assert [each(devices=n) for n in (1, 2, 3, 16)] == [8, 4, 2, 1]
    assert each(devices=2, threads=3) == 3
    assert each(devices=2, engine="ray") == 1
