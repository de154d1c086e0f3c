import json
import logging
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from geocobot._version import __version__
from geocobot.adapters.attach import adapter_state
from geocobot.adapters.cobot import Relation
from geocobot.adapters.config import AdapterConfig
from geocobot.bands import BandRange
from geocobot.classes import ClassSpec
from geocobot.errors import CheckpointError, MissingFileError, ModelFileError, OutputError
from geocobot.models import modelfile, tensor_file
from geocobot.models.base_file import write_base
from geocobot.models.bases import find_base
from geocobot.models.card import FORMAT_VERSION
from geocobot.models.modelfile import ModelCard, _stored, load_model, read_card, save_model
from geocobot.models.segmenter import build_segmenter
from geocobot.scaling import Scaling

from .mini import MINI, make_parts, make_provenance, official_sam


def make_card(segmenter):
    return ModelCard(
        segmenter=segmenter.config,
        classes=(
            ClassSpec(1, "Straße", "#e69f00", threshold=0.37),
            ClassSpec(2, "roof", "#56b4e9"),
        ),
        ranges=tuple(
            BandRange(band, f"band {band}", "uint16", 12.5 * band, 3001.25) for band in (3, 2, 1)
        ),
        ground_pixel_m=(0.242, 0.3),
        patch_px=256,
        metrics={"iou": 0.7125, "iou/roof": 1 / 3},
        data_fingerprint="ab" * 32,
    )


def stir(segmenter):
    """Move every trainable parameter, as training does."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in segmenter.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    return segmenter.eval()


@pytest.fixture(params=["lora", "adaptformer", "none"])
def segmenter(request, mini):
    return stir(build_segmenter("mini", 2, AdapterConfig(request.param), seed=1))


@pytest.fixture
def lora(mini):
    return stir(build_segmenter("mini", 2, AdapterConfig("lora"), seed=1))


@pytest.fixture
def saved(lora, tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, lora, make_card(lora))
    return path


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_model_of_many_bands(mini, tmp_path, method):
    segmenter = stir(build_segmenter("mini", 2, AdapterConfig(method), n_bands=8))
    ranges = tuple(BandRange(band, f"band {band}", "uint16", 0, 3000) for band in range(1, 9))
    path = tmp_path / "eight.safetensors"
    save_model(path, segmenter, replace(make_card(segmenter), ranges=ranges))
    again, card = load_model(path)
    assert card.segmenter.n_bands == len(card.ranges) == 8
    image = torch.rand(1, 8, 64, 64)
    assert torch.equal(again(image), segmenter(image))


def test_a_file_from_before_there_were_more_bands(saved):
    tensors = load_file(saved)
    with safe_open(saved, "numpy") as file:
        content = json.loads(file.metadata()["geocobot"])
    del content["segmenter"]["n_bands"], content["resampled"]
    save_file(tensors, saved, {"geocobot": json.dumps(content)})
    segmenter, card = load_model(saved)
    assert segmenter.n_bands == 3
    assert not card.resampled


def rewrite(path, change, tensors=None):
    """Write the file again with another card or other tensors."""
    with safe_open(path, framework="numpy") as file:
        card = json.loads(file.metadata()["geocobot"])
    change(card)
    save_file(tensors or load_file(path), path, metadata={"geocobot": json.dumps(card)})


def test_a_round_trip_gives_the_same_logits_and_card(segmenter, tmp_path):
    path = tmp_path / "model.safetensors"
    card = make_card(segmenter)
    save_model(path, segmenter, card)
    loaded, read = load_model(path)
    image = torch.rand(2, 3, 96, 64)
    assert torch.equal(loaded(image), segmenter(image))
    assert read == card == read_card(path)
    assert not loaded.training


def test_a_trained_encoder_is_in_the_file(tmp_path, monkeypatch):
    segmenter = stir(build_segmenter("tiny", 1, AdapterConfig(), start="random"))
    path = tmp_path / "model.safetensors"
    card = replace(make_card(segmenter), classes=make_card(segmenter).classes[:1])
    save_model(path, segmenter, card)
    monkeypatch.setattr(modelfile, "load_checkpoint", None)
    loaded, _ = load_model(path)
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(loaded(image), segmenter(image))
    assert load_file(path).keys() == segmenter.state_dict().keys()
    assert card.segmenter.encoder_trained
    assert card.segmenter.base_sha256 is None


def test_the_file_holds_adapter_and_head_and_nothing_else(saved, lora):
    sites = [f"encoder.blocks.{i}.attn.qkv.{part}" for i in range(2) for part in "qv"]
    per_site = ("A", "B", "cobot.gamma", "cobot.W.letters")
    expected = {f"{site}.{name}" for site in sites for name in per_site}
    expected |= {f"encoder.blocks.0.attn.qkv.relation.{name}" for name in "CS"}
    expected |= {f"head.{name}" for name in lora.head.state_dict()}
    assert load_file(saved).keys() == expected
    assert len(adapter_state(lora.encoder)) == 4 * 4 + 2


@pytest.mark.parametrize("base", ["mini", "tiny"])
def test_the_dense_head_goes_round(base, mini, tmp_path):
    segmenter = stir(build_segmenter(base, 2, AdapterConfig(), head="dense", seed=1))
    path = tmp_path / "model.safetensors"
    card = make_card(segmenter)
    save_model(path, segmenter, card)
    loaded, read = load_model(path)
    image = torch.rand(2, 3, 96, 64)
    assert torch.equal(loaded(image), segmenter(image))
    assert read == card
    head = {n for n in load_file(path) if n.startswith("head.")}
    assert head == {f"head.{n}" for n in segmenter.head.state_dict()}
    assert {n.split(".")[1] for n in head} == {
        *("levels", "neck", "fuse", "to_half", "to_quarter", "to_eighth"),
        *("joins", "full", "readers"),
    }


def test_a_file_from_before_there_were_two_heads_is_a_mask_decoder(saved, lora):
    def forget(card):
        for name in ("kind", "level_widths", "fused_width"):
            del card["segmenter"]["head"][name]

    rewrite(saved, forget)
    loaded, card = load_model(saved)
    assert card.segmenter == lora.config
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(loaded(image), lora(image))


def test_metadata_are_one_key_and_the_same_bytes_each_time(saved, lora, tmp_path):
    with safe_open(saved, framework="numpy") as file:
        assert list(file.metadata()) == ["geocobot"]
    again = tmp_path / "again.safetensors"
    save_model(again, lora, make_card(lora))
    assert again.read_bytes() == saved.read_bytes()


def test_the_card_says_what_design_asks(saved, mini):
    card = read_card(saved)
    assert card.geocobot_version == __version__
    assert card.format_version == FORMAT_VERSION
    assert card.segmenter.base_sha256 == mini.weights.sha256
    assert card.classes[0].threshold == 0.37
    assert card.ranges[0] == BandRange(3, "band 3", "uint16", 37.5, 3001.25)
    assert card.metrics["iou/roof"] == 1 / 3


def test_reading_the_card_needs_no_torch(saved):
    code = (
        "import sys; from geocobot.models import bases, card;"
        "bases.BASES['mini'] = bases.BASES['tiny'];"
        f"card.read_card({str(saved)!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_saving_replaces_and_leaves_nothing_beside(saved, lora):
    save_model(saved, lora, replace(make_card(lora), patch_px=512))
    assert read_card(saved).patch_px == 512
    assert [p.name for p in saved.parent.glob("*model*")] == ["model.safetensors"]
    assert [p.name for p in saved.parent.glob(".*")] == []


def test_a_failed_save_keeps_the_old_file(saved, lora, monkeypatch):
    def interrupted(_tensors, path, metadata):
        path.write_text(metadata["geocobot"][:10])
        raise KeyboardInterrupt

    before = saved.read_bytes()
    monkeypatch.setattr(tensor_file, "save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_model(saved, lora, make_card(lora))
    assert saved.read_bytes() == before
    assert list(saved.parent.glob(".*")) == []


def test_a_missing_folder(lora, tmp_path):
    with pytest.raises(OutputError, match=r"model.safetensors cannot be written"):
        save_model(tmp_path / "none" / "model.safetensors", lora, make_card(lora))


def test_a_card_of_another_segmenter_is_refused(lora, tmp_path):
    card = make_card(lora)
    other = replace(card, segmenter=replace(card.segmenter, adapter=AdapterConfig("none")))
    with pytest.raises(ValueError, match="the card describes SegmenterConfig"):
        save_model(tmp_path / "model.safetensors", lora, other)


def test_no_such_file(tmp_path):
    with pytest.raises(MissingFileError, match=r"none.safetensors does not exist"):
        load_model(tmp_path / "none.safetensors")


def test_a_folder(tmp_path):
    with pytest.raises(MissingFileError, match=r"is a folder\. .*Name the file in it"):
        load_model(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no names of bytes")
def test_a_name_that_is_not_utf_8(saved):
    renamed = saved.rename(saved.with_name(os.fsdecode(b"caf\xe9.safetensors")))
    with pytest.raises(ModelFileError, match="has a name that is not UTF-8"):
        read_card(renamed)
    with pytest.raises(ModelFileError, match="has a name that is not UTF-8"):
        load_model(renamed)


@pytest.mark.parametrize("keep", [0, 7, 500, -1, -1000])
def test_a_truncated_file(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(ModelFileError, match=r"cannot be read as a model file .*may be truncated"):
        load_model(saved)


def test_a_file_of_another_kind(tmp_path):
    path = tmp_path / "roads.gpkg"
    path.write_bytes(b"SQLite format 3\x00" * 100)
    with pytest.raises(ModelFileError, match=r"roads.gpkg cannot be read as a model file"):
        load_model(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_a_foreign_safetensors_file(tmp_path, metadata):
    path = tmp_path / "llm.safetensors"
    save_file({"weight": torch.zeros(3)}, path, metadata=metadata)
    with pytest.raises(ModelFileError, match="was not written by geocobot"):
        load_model(path)


def test_an_older_format_has_no_scaling(saved):
    rewrite(saved, lambda card: (card.update(format_version=1), card.pop("scaling")))
    card = read_card(saved)
    assert (card.format_version, card.scaling) == (1, ())
    load_model(saved)


def test_scaling_comes_back_with_all_digits(lora, tmp_path):
    path = tmp_path / "model.safetensors"
    scaling = (Scaling(1 / 3, 2 / 7), Scaling())
    save_model(path, lora, replace(make_card(lora), scaling=scaling))
    assert read_card(path).scaling == scaling


def test_a_newer_format(saved):
    rewrite(saved, lambda card: card.update(format_version=3, geocobot_version="9.1"))
    with pytest.raises(ModelFileError, match=r"written by geocobot 9.1 in format 3.*pip install"):
        load_model(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("format_version"), "format_version"),
        (lambda c: c.pop("classes"), "classes: Field required"),
        (lambda c: c.update(patch_px="wide"), "patch_px: Input should be a valid integer"),
        (lambda c: c.update(scaling=[{"temperature": 2.0}]), "scaling of 1 classes beside 2"),
        (
            lambda c: c.update(scaling=[{"temperature": 0.0}] * 2),
            r"scaling.0: Value error.* temperature 0.0 is not in 0.25..4",
        ),
        (lambda c: c["ranges"][0].update(high=0.0), r"ranges.0: Value error.* is not above low"),
        (lambda c: c["segmenter"]["adapter"].update(rank=6), "adapter rank is 6"),
    ],
)
def test_a_card_that_makes_no_sense(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(ModelFileError, match=rf"card that makes no sense .*{message}"):
        read_card(saved)


def test_a_card_that_is_no_json(saved):
    save_file(load_file(saved), saved, metadata={"geocobot": "{"})
    with pytest.raises(ModelFileError, match=r"makes no sense .*JSONDecodeError"):
        read_card(saved)


def test_a_base_of_a_later_version(saved):
    rewrite(saved, lambda card: card["segmenter"].update(base="sam_9"))
    with pytest.raises(ModelFileError, match="was trained on the base sam_9"):
        load_model(saved)


@pytest.mark.parametrize("base", ["mini", "small"])
def test_a_frozen_encoder_from_a_random_start_is_in_the_file(base, mini, small, tmp_path):
    segmenter = stir(
        build_segmenter(base, 2, AdapterConfig(), start="random", train_encoder=False, seed=3)
    )
    path = tmp_path / "model.safetensors"
    save_model(path, segmenter, make_card(segmenter))
    loaded, card = load_model(path)
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(loaded(image), segmenter(image))
    assert not card.segmenter.encoder_trained
    assert not loaded.encoder_trained


@pytest.mark.parametrize("head", ["dense", "mask-decoder"])
def test_a_model_on_a_base_file_holds_adapters_and_head_and_wants_that_file(
    small, base_file, head, tmp_path
):
    segmenter = stir(build_segmenter("small", 2, AdapterConfig(), head=head, checkpoint=base_file))
    path = tmp_path / "model.safetensors"
    save_model(path, segmenter, make_card(segmenter))
    adapters = {f"encoder.{name}" for name in adapter_state(segmenter.encoder)}
    assert load_file(path).keys() == adapters | {f"head.{n}" for n in segmenter.head.state_dict()}
    loaded, _ = load_model(path, checkpoint=base_file)
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(loaded(image), segmenter(image))
    with pytest.raises(ModelFileError, match=r"on small weights .* there are none.*--checkpoint F"):
        load_model(path)


def test_a_model_on_the_packages_own_base_file_needs_nothing_named(
    bundled, small, base_file, tmp_path
):
    segmenter = stir(build_segmenter("small", 2, AdapterConfig()))
    path = tmp_path / "model.safetensors"
    save_model(path, segmenter, make_card(segmenter))
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(load_model(path)[0](image), segmenter(image))
    # A later geocobot may come with other weights.
    parts = make_parts(small, seed=9)
    write_base(bundled, small, **parts, provenance=make_provenance("small"))
    with pytest.raises(
        ModelFileError, match=rf"--checkpoint FILE, or install geocobot {__version__}"
    ):
        load_model(path)
    assert torch.equal(load_model(path, checkpoint=base_file)[0](image), segmenter(image))


def test_a_base_file_is_no_model(base_file):
    with pytest.raises(ModelFileError, match=r"the pretrained weights of a base\. geocobot needs"):
        read_card(base_file)


def test_weights_of_another_base(saved, tmp_path, caplog):
    other = tmp_path / "other.pth"
    torch.save(official_sam(MINI, seed=9).state_dict(), other)
    caplog.set_level(logging.CRITICAL)
    with pytest.raises(ModelFileError, match=r"was trained on mini weights .*--checkpoint FILE"):
        load_model(saved, checkpoint=other)


def test_the_checkpoint_it_was_trained_with(mini, tmp_path):
    own = tmp_path / "own.pth"
    torch.save(official_sam(MINI, seed=9).state_dict(), own)
    segmenter = stir(build_segmenter("mini", 2, AdapterConfig(), checkpoint=own))
    path = tmp_path / "model.safetensors"
    save_model(path, segmenter, make_card(segmenter))
    image = torch.rand(1, 3, 64, 64)
    loaded, _ = load_model(path, checkpoint=own)
    assert torch.equal(loaded(image), segmenter(image))
    with pytest.raises(ModelFileError, match="was trained on mini weights"):
        load_model(path)


def test_the_base_cannot_be_had(saved, cache, mini, monkeypatch):
    (cache / "sam_mini.pth").unlink()
    lost = replace(mini, weights=replace(mini.weights, url="http://127.0.0.1:9/sam_mini.pth"))
    monkeypatch.setitem(sys.modules["geocobot.models.bases"].BASES, "mini", lost)
    with pytest.raises(CheckpointError, match="cannot be downloaded"):
        load_model(saved)


def test_a_missing_tensor(saved):
    tensors = load_file(saved)
    del tensors["encoder.blocks.0.attn.qkv.relation.S"]
    rewrite(saved, lambda _: None, tensors)
    with pytest.raises(ModelFileError, match=r"1 tensors differ, .*S \(missing in the file"):
        load_model(saved)


def test_a_tensor_too_many_or_of_another_shape(saved):
    tensors = load_file(saved)
    rewrite(saved, lambda _: None, tensors | {"head.extra": torch.zeros(2)})
    with pytest.raises(ModelFileError, match=r"head.extra \(\(2,\) in the file, unknown by"):
        load_model(saved)
    rewrite(saved, lambda card: card["segmenter"]["adapter"].update(rank=8), tensors)
    with pytest.raises(ModelFileError, match="does not fit its own card"):
        load_model(saved)


@pytest.mark.parametrize("base", ["vit_b", "vit_l", "vit_h"])
def test_bfloat16_spares_the_relations_of_large_bases(base):
    depth = find_base(base).depth
    relation = Relation(4, 2 * depth)
    named = {f"encoder.blocks.0.attn.qkv.relation.{n}": t for n, t in relation.state_dict().items()}
    assert {_stored(n, t, "bfloat16").dtype for n, t in named.items()} == {torch.float32}
    large = torch.zeros(64, 64)
    assert _stored("encoder.blocks.0.attn.qkv.q.A", large, "bfloat16").dtype == torch.bfloat16


def test_bfloat16_halves_the_file_and_spares_what_is_small(lora, tmp_path):
    whole, half = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    save_model(whole, lora, make_card(lora))
    save_model(half, lora, make_card(lora), "bfloat16")
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    kinds = {n: t.dtype for n, t in load_file(half).items()}
    assert {d for n, d in kinds.items() if "cobot" in n or "relation" in n} == {torch.float32}
    assert kinds["head.transformer.layers.0.mlp.lin1.weight"] == torch.bfloat16
    loaded, _ = load_model(half)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(loaded(image), lora(image), atol=0.05, rtol=0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_whoever_may_enter_the_folder_may_read_the_model(lora, tmp_path):
    tmp_path.chmod(0o755)
    save_model(tmp_path / "m.safetensors", lora, make_card(lora))
    assert (tmp_path / "m.safetensors").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("head", ["dense", "mask-decoder"])
def test_a_plane_of_insides_comes_back(mini, tmp_path, head):
    segmenter = stir(build_segmenter("mini", 2, AdapterConfig(), head=head, separate=True))
    image = torch.rand(1, 3, 64, 64)
    path = tmp_path / "model.safetensors"
    save_model(path, segmenter, make_card(segmenter))
    loaded, card = load_model(path)
    assert card.segmenter.head.separate
    assert loaded.separates
    with torch.no_grad():
        planes = loaded(image)
        assert planes.shape == (1, 3, 64, 64)
        assert torch.equal(planes, segmenter(image))


def test_a_card_from_before_there_were_insides_is_read(mini, tmp_path):
    segmenter = stir(build_segmenter("mini", 2, AdapterConfig()))
    path = tmp_path / "model.safetensors"
    save_model(path, segmenter, make_card(segmenter))
    with safe_open(path, framework="pt") as file:
        card = json.loads(file.metadata()["geocobot"])
    del card["segmenter"]["head"]["separate"]
    save_file(load_file(path), path, metadata={"geocobot": json.dumps(card)})
    loaded, read = load_model(path)
    assert read.segmenter == segmenter.config
    assert not loaded.separates
