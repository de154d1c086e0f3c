"""Scripts that call the functions of the Python API, and the processes that import them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .untrained import make_model, options_for

SCRIPT = """
import sys
import geocobot
{guard}
    print("begun")
    geocobot.predict(**{options})
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [{"workers": 1}, {"devices": 2}], ids=str)
def test_processes_import_a_script_and_do_not_begin_it_again(
    scene_factory: Callable[..., Path], tmp_path: Path, how: dict[str, Any]
) -> None:
    scene = scene_factory(shape_hw=(100, 90))
    model = make_model(tmp_path / "model.safetensors")

    def run(name: str, guard: str) -> subprocess.CompletedProcess[str]:
        chosen = options_for(model, scene, tmp_path / name)
        options = {k: getattr(chosen, k) for k in ("raster", "model", "out", "device")}
        (tmp_path / name).mkdir()
        script = tmp_path / f"{name}.py"
        script.write_text(SCRIPT.format(guard=guard, options=options | how | {"overwrite": True}))
        words = [sys.executable, str(script)]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)

    without = run("unguarded", "if True:")
    assert without.returncode == 1
    assert without.stderr.count("geocobot.predict begins again in a process that was to help") > 0
    last = without.stderr.splitlines()[-1]
    assert last.startswith("geocobot.errors.WorkerError: A process that was to ")
    assert last.endswith('below if __name__ == "__main__".')
    assert not (tmp_path / "unguarded" / "map.gpkg").exists()
    guarded = run("guarded", 'if __name__ == "__main__":')
    assert guarded.returncode == 0, guarded.stderr
    assert guarded.stdout == "begun\n"
    assert (tmp_path / "guarded" / "map.gpkg").is_file()
