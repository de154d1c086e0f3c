from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from geocobot.cli.app import app
from geocobot.config import ShowOptions
from geocobot.errors import ConfigError
from geocobot.models.provenance import read_provenance
from geocobot.workflows import shown_model
from geocobot.workflows.shown_model import show_model


def show(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["models", "show", *arguments], env={"COLUMNS": "200"})


def test_vit_b_with_lora_as_json() -> None:
    result = show("vit_b", "--adapter", "lora", "--rank", "4", "--json")
    assert result.exit_code == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["adapter_parameters"] == 147_456
    assert figures["cobot_parameters"] == 864
    assert figures["base_parameters"] == 89_670_912
    assert round(figures["tflop_per_tile"], 2) == 0.97
    assert figures["head_parameters"] > 1e6
    assert figures["sites"] == 24


@pytest.mark.parametrize(
    ("base", "adapter", "counts"),
    [
        ("vit_b", "adaptformer", (322_752, 1_296)),
        ("vit_l", "lora", (393_216, 2_880)),
        ("vit_l", "adaptformer", (860_544, 2_880)),
        ("vit_h", "lora", (655_360, 64**2 + 3 * 4 * 64)),
    ],
)
def test_the_published_counts(base: Any, adapter: Any, counts: tuple[int, int]) -> None:
    shown = show_model(ShowOptions(base=base, adapter=adapter))
    assert (shown.adapter_parameters, shown.cobot_parameters) == counts


def test_dora_adds_a_magnitude_per_row() -> None:
    lora, dora = (show_model(ShowOptions(base="vit_b", adapter=a)) for a in ("lora", "dora"))
    assert dora.adapter_parameters - lora.adapter_parameters == 2 * 12 * 768


def test_the_dense_head_is_the_smaller_one() -> None:
    mask, dense = (show_model(ShowOptions(base="vit_h", head=h)) for h in ("mask-decoder", "dense"))
    assert dense.head_parameters < 3e6 < mask.head_parameters


@pytest.mark.parametrize("adapter", ["none", "full"])
def test_without_sites_there_are_no_adapter_parameters(adapter: Any) -> None:
    shown = show_model(ShowOptions(base="vit_b", adapter=adapter))
    assert (shown.adapter_parameters, shown.cobot_parameters, shown.sites) == (0, 0, 0)
    assert f"adapter                 {adapter}" in shown.summary()


def test_people_get_a_table() -> None:
    text = show("tiny", "--targets", "q,k,v,proj").stdout
    assert "adapter                 lora + COBOT, rank 4, at 48 sites (q,k,v,proj)" in text
    assert "TFLOP per 1024 px tile" in text


def test_weights_that_come_with_the_package_say_how_they_were_made(bundled_tiny: Path) -> None:
    text = show("tiny").stdout
    for line in (
        r"weights                 in the package, Apache-2\.0, of \d{4}-\d\d-\d\d",
        "pretrained on           made-up places, old maps",
        "pretrained by           commit cef5996, seed 3",
        "pretrained for          12,000 steps, 4.5 hours on one H100",
    ):
        assert re.search(f"^  {line}$", text, re.MULTILINE), text
    made = json.loads(show("tiny", "--json").stdout)["provenance"]
    assert (made["commit"], made["recipe"], made["hours"]) == ("cef5996", {"lr": 1e-3}, 4.5)
    bundled_tiny.unlink()
    lost = show("tiny")
    assert lost.exit_code == 2
    assert "tiny.safetensors does not exist" in " ".join(lost.stderr.split())


def test_weights_that_went_through_two_runs_name_both(
    bundled_tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_provenance(bundled_tiny)
    second = replace(first, seed=4, steps=900, after=first)
    monkeypatch.setattr(shown_model, "read_provenance", lambda _path: second)
    text = show("tiny").stdout
    for line in ("pretrained by           commit cef5996, seed 3", "then by .* seed 4"):
        assert re.search(f"^  {line}$", text, re.MULTILINE), text
    assert re.search(r"^  then for +900 steps, ", text, re.MULTILINE)
    assert json.loads(show("tiny", "--json").stdout)["provenance"]["after"]["seed"] == 3


def test_weights_from_elsewhere_say_nothing() -> None:
    assert show_model(ShowOptions(base="vit_b")).provenance is None
    assert "pretrained" not in show("vit_b").stdout


def test_a_missing_base_says_how_to_name_it() -> None:
    result = show()
    assert result.exit_code == 2
    assert "does not say base" in result.stderr
    assert "Write geocobot models show BASE" in result.stderr


def test_impossible_adapters_are_refused() -> None:
    with pytest.raises(ConfigError, match="adapter rank is 6"):
        show_model(ShowOptions(base="vit_b", rank=6))
    with pytest.raises(ConfigError, match="--classes is 0"):
        show_model(ShowOptions(base="vit_b", classes=0))
