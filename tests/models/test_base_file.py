from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from geocobot.adapters.attach import attach
from geocobot.adapters.config import AdapterConfig
from geocobot.errors import CheckpointError, MissingFileError, OutputError
from geocobot.models.base_file import read_base, write_base
from geocobot.models.bases import BASES
from geocobot.models.checkpoint import official_shapes
from geocobot.models.heads import head_config, make_head

from .mini import SMALL, make_parts, make_provenance


def write(path, parts, spec=SMALL, base="small", **others):
    write_base(path, spec, **(parts | others), provenance=make_provenance(base))


def rewrite(path, tensors):
    """The same file with other tensors."""
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    save_file(tensors, path, metadata=metadata)


def test_names_and_shapes_are_sams_where_sam_has_them(base_file):
    official = official_shapes(SMALL)
    found = {n: tuple(t.shape) for n, t in read_base(base_file, SMALL).items()}
    own = {n for n in found if n.startswith(("image_stem.", "dense_head."))}
    assert {found[n] == official[n] for n in found.keys() - own} == {True}
    unused = official.keys() - found.keys()
    parts = ("mask_downscaling", "not_a_point", "iou_prediction_head", "point_embeddings.0")
    parts += ("point_embeddings.1", *(f"hypernetworks_mlps.{k}" for k in (1, 2, 3)))
    assert {n for n in unused if not any(part in n for part in parts)} == set()
    assert not any("readers" in n for n in own)


def test_values_go_round_within_half_precision(base_file, parts):
    tensors = read_base(base_file, SMALL)
    assert {t.dtype for t in tensors.values()} == {torch.float32}
    for name, tensor in parts["encoder"].state_dict().items():
        torch.testing.assert_close(tensors[f"image_encoder.{name}"], tensor, rtol=2**-10, atol=1e-7)


def test_matrices_are_halved_and_what_is_small_is_exact(base_file, parts):
    stored = load_file(base_file)
    kinds = {name: t.dtype for name, t in stored.items()}
    assert kinds["image_encoder.blocks.0.mlp.lin1.weight"] == torch.float16
    assert kinds["image_encoder.blocks.0.mlp.lin1.bias"] == torch.float32
    small = [n for n, t in stored.items() if t.dim() < 2 or t.numel() < 2048]
    assert {kinds[n] for n in small} == {torch.float32}
    assert {kinds[n] for n in kinds.keys() - small} == {torch.float16}
    norm = parts["encoder"].blocks[0].norm1.weight
    assert torch.equal(stored["image_encoder.blocks.0.norm1.weight"], norm)


def test_what_is_too_large_for_float16_is_kept_as_bfloat16(tmp_path):
    parts = make_parts(SMALL)
    with torch.no_grad():
        parts["encoder"].blocks[0].mlp.lin1.weight[0, 0] = 1e6
    write(tmp_path / "b.safetensors", parts)
    name = "image_encoder.blocks.0.mlp.lin1.weight"
    assert load_file(tmp_path / "b.safetensors")[name].dtype == torch.bfloat16
    read = read_base(tmp_path / "b.safetensors", SMALL)[name]
    assert read[0, 0] == pytest.approx(1e6, rel=2**-8)


@pytest.mark.parametrize("lacking", [{"dense_head"}, {"mask_head"}, {"dense_head", "mask_head"}])
def test_heads_may_be_left_out(parts, tmp_path, lacking):
    path = tmp_path / "fewer.safetensors"
    write(path, parts, **dict.fromkeys(lacking))
    names = read_base(path, SMALL).keys()
    assert any(n.startswith("dense_head.") for n in names) == ("dense_head" not in lacking)
    assert any(n.startswith("mask_decoder.") for n in names) == ("mask_head" not in lacking)


def test_the_same_parts_make_the_same_bytes(base_file, parts, tmp_path):
    write(tmp_path / "again.safetensors", parts)
    assert (tmp_path / "again.safetensors").read_bytes() == base_file.read_bytes()
    assert [p.name for p in tmp_path.glob(".*")] == []


def test_tiny_goes_round_and_is_small_enough_for_a_wheel(tmp_path):
    tiny, path = BASES["tiny"], tmp_path / "tiny.safetensors"
    write(path, make_parts(tiny), tiny, "tiny")
    assert read_base(path, tiny).keys() >= {"image_encoder.pos_embed"}
    assert path.stat().st_size < 30e6


def test_parts_of_another_shape_are_refused(parts, tmp_path):
    wide = make_parts(replace(SMALL, width=36))
    path = tmp_path / "odd.safetensors"
    with pytest.raises(ValueError, match=r"tensors do not fit small, such as image_encoder"):
        write(path, parts, encoder=wide["encoder"])
    with pytest.raises(ValueError, match=r"do not fit small, such as dense_head\.levels"):
        write(path, parts, dense_head=wide["dense_head"])
    with pytest.raises(ValueError, match="the provenance is of tiny, the weights are of small"):
        write(path, parts, base="tiny")
    assert not path.exists()


def test_an_encoder_with_adapters_is_refused(tmp_path):
    parts = make_parts(SMALL)
    attach(parts["encoder"], AdapterConfig())
    with pytest.raises(ValueError, match=r"do not fit small, such as image_encoder.*is none"):
        write(tmp_path / "odd.safetensors", parts)


@pytest.mark.parametrize(("n_classes", "prompt"), [(1, "none"), (2, "boxes")])
def test_a_mask_decoder_has_boxes_and_one_class(parts, tmp_path, n_classes, prompt):
    shape = head_config(SMALL, n_classes, "mask-decoder", "pretrained", prompt=prompt)
    with pytest.raises(ValueError, match="has box prompts and one class"):
        write(tmp_path / "odd.safetensors", parts, mask_head=make_head(shape))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(tmp_path, value):
    parts = make_parts(SMALL)
    with torch.no_grad():
        parts["encoder"].blocks[1].norm1.bias[3] = value
    with pytest.raises(ValueError, match=r"1 tensors are not finite, such as .*1\.norm1\.bias"):
        write(tmp_path / "odd.safetensors", parts)


def test_a_missing_folder(parts, tmp_path):
    with pytest.raises(OutputError, match=r"b.safetensors cannot be written"):
        write(tmp_path / "none" / "b.safetensors", parts)


def test_no_such_file(tmp_path):
    with pytest.raises(MissingFileError, match="does not exist"):
        read_base(tmp_path / "none.safetensors", SMALL)


def test_another_base(base_file):
    with pytest.raises(CheckpointError, match=r"holds the weights of small. --base tiny needs its"):
        read_base(base_file, BASES["tiny"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("image_encoder.pos_embed"), r"1 tensors .*pos_embed: missing\. There"),
        (lambda t: t.pop("image_stem.at_half.1.bias"), r"1 tensors .*at_half.1.bias: missing"),
        (lambda t: t.pop("dense_head.neck.1.bias"), r"1 tensors .*neck.1.bias: missing"),
        (lambda t: t.update(extra=torch.zeros(3)), r"such as extra: \(3,\).*it is unknown"),
        (
            lambda t: t.update({"image_encoder.pos_embed": torch.zeros(2)}),
            r"pos_embed: \(2,\) torch.float32. There it is \(1, 8, 8, 24\)",
        ),
        (
            lambda t: t.update({n: v.int() for n, v in t.items() if n.endswith("pos_embed")}),
            r"pos_embed: \(1, 8, 8, 24\) torch.int32. There it is \(1, 8, 8, 24\) of floating",
        ),
    ],
)
def test_tensors_that_do_not_fit(base_file, change, message):
    tensors = load_file(base_file)
    change(tensors)
    rewrite(base_file, tensors)
    with pytest.raises(CheckpointError, match=message):
        read_base(base_file, SMALL)
