"""Entry point: `python benchmarks/evidence`."""

import logging
import sys
from pathlib import Path

# The other benchmarks are imported by their names, as they import each other.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from evidence.command import main  # noqa: E402

if __name__ == "__main__":
    logging.getLogger("geocobot").setLevel(logging.ERROR)  # what each run learns from is declared
    main()
