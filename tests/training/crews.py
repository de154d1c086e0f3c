"""What processes train that are started by test_processes.py and test_launch.py."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path

import torch
import torch.distributed as dist
from squares import SquaresModule, TinySegmenter

from geocobot.errors import ConfigError
from geocobot.training.fit import FitSettings
from geocobot.training.groups import GroupSettings


class MeanLoss:
    """A loss that is the mean of the samples' own: that of a batch is the mean of its parts'."""

    def __call__(self, logits, label, valid):
        targets = (label == 1).float()[:, None]
        each = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, targets, reduction="none"
        )
        return (each * valid[:, None]).mean()


def steady():
    """A segmenter without dropout."""
    segmenter = TinySegmenter()
    segmenter.drop.p = 0.0
    return segmenter


def settings(**changed):
    groups = GroupSettings(learning_rate=1e-2)
    given = {"n_classes": 1, "epochs": 4, "seed": 3, "groups": groups, "loss": MeanLoss()}
    return FitSettings(**(given | changed))


class FailingSegmenter(TinySegmenter):
    """Does something in one process when it has trained for so many steps.

    Args:
        what: "die", "raise", "speak" or "wait".
        steps: before that.
        number: of the process; None for all of them.
        sign: file that appears then, with the number of the process at its end; holds its id.
    """

    def __init__(self, what, steps, number=1, sign=None):
        super().__init__()
        self.drop.p = 0.0
        self.what, self.left, self.number, self.sign = what, steps, number, sign

    def forward(self, image):
        if self.training:
            if self.left == 0 and self.number in (None, dist.get_rank()):
                self.fail()
            self.left -= 1
        return super().forward(image)

    def fail(self):
        if self.sign is not None:
            Path(f"{self.sign}{dist.get_rank()}").write_text(str(os.getpid()))
        if self.what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.what == "raise":
            raise ConfigError("The test", "has failed", "It should", "Let it")
        elif self.what == "speak":
            logging.getLogger("geocobot.training").warning("Heard of process %d.", dist.get_rank())
        else:
            time.sleep(600)


class DriftingSegmenter(TinySegmenter):
    """Takes longer in one process than in the other, and leaves what it is when it is judged.

    Args:
        sign: beginning of the names of files, of which each process writes one.
    """

    def __init__(self, sign):
        super().__init__()
        self.sign = sign

    def forward(self, image):
        time.sleep(0.01 * dist.get_rank())
        if not self.training:
            torch.save(self.state_dict(), f"{self.sign}{dist.get_rank()}")
        return super().forward(image)


class IdleSegmenter(TinySegmenter):
    """Has a part that only one of the processes uses, and one that none does."""

    def __init__(self):
        super().__init__()
        self.drop.p = 0.0
        self.shift = torch.nn.Parameter(torch.zeros(()))
        self.spare = torch.nn.Linear(2, 2)

    def forward(self, image):
        logits = super().forward(image)
        return logits + self.shift if dist.get_rank() == 0 else logits


class EndlessModule(SquaresModule):
    """So many steps that time runs out in the middle of an epoch."""

    def __init__(self):
        super().__init__(steps=2000)
