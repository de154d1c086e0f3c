"""Pages in a browser: nothing wider than the window, nothing fetched, a slider that slides."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from geocobot.report.charts import Series, line_chart
from geocobot.report.page import Section, charts, code, facts, figure, folded, table, write_page
from geocobot.report.pictures import embedded, swipe

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine"),
]

ASK = """<script>
const slider = document.querySelector('input[type=range]');
slider.value = 20; slider.oninput();
document.title = JSON.stringify([
  document.documentElement.scrollWidth, innerWidth,
  getComputedStyle(slider.parentNode).getPropertyValue('--cut'),
  performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length]);
</script>"""


def page() -> str:
    """A page with all that pages have, wide tables and long words."""
    picture = np.random.default_rng(0).integers(0, 255, (300, 500, 3)).astype(np.uint8)
    shown = embedded(picture)
    chart = line_chart([Series("a", (0, 1), (0, 1))], x_title="x", y_title="y")
    body = "".join(
        [
            table(["", *["a headline"] * 9], [["x", *["0.123 (0.1 to 0.2)"] * 9]]),
            facts({"a name": "f" * 300}),
            swipe(shown, shown, said=("scene", "map"), name="slider"),
            charts([figure(chart, "caption " * 20)] * 3),
            folded("more", code("option: " + "y" * 400)),
        ]
    )
    return write_page("A title " + "t" * 200, "", [Section("A part", body)])


@pytest.mark.parametrize("width", [500, 1300])
def test_a_page_fits_its_window_and_its_slider_slides(tmp_path: Path, width: int) -> None:
    file = tmp_path / "page.html"
    file.write_text(page().replace("</body>", f"{ASK}</body>"), "utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900"]
    done = subprocess.run(
        [*map(str, command), file.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    found = re.search(r"<title>(.*?)</title>", done.stdout)
    assert found is not None
    page_width, window_width, cut, asked = json.loads(unescape(found[1]))
    assert window_width == width
    assert page_width <= window_width
    assert cut == "20%"
    assert asked == 0
