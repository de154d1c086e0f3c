"""A run whose processes wait for ever: a script for test_processes.py.

Usage: waiting_run.py FOLDER SIGN. Each process leaves a file SIGN<number> with its id.
"""

import sys
from pathlib import Path

from crews import FailingSegmenter, SquaresModule, settings

from geocobot.training.job import Job
from geocobot.training.processes import fit_in_processes

if __name__ == "__main__":
    folder, sign = sys.argv[1:]
    segmenter = FailingSegmenter("wait", 0, number=None, sign=sign)
    fit_in_processes(Job(segmenter, SquaresModule(), settings(), Path(folder)), devices=2)
