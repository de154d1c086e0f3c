"""A run that kills itself without warning: a script for test_fit.py.

Usage: killed_run.py FOLDER STEP. Dies by SIGKILL when STEP steps are done.
"""

import os
import signal
import sys
from pathlib import Path

from squares import SquaresModule, TinySegmenter

from geocobot.training.fit import FitSettings, fit
from geocobot.training.groups import GroupSettings


class DyingSegmenter(TinySegmenter):
    """Counts its training forwards and dies at one of them."""

    def __init__(self, last):
        super().__init__()
        self.left = last

    def forward(self, image):
        if self.training:
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1
        return super().forward(image)


if __name__ == "__main__":
    fit(
        DyingSegmenter(int(sys.argv[2])),
        SquaresModule(),
        FitSettings(n_classes=1, epochs=5, seed=3, groups=GroupSettings(learning_rate=1e-2)),
        Path(sys.argv[1]),
    )
