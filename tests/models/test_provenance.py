import json
from datetime import date

import pytest
import torch
from safetensors.torch import save_file

from geocobot._version import __version__
from geocobot.errors import CheckpointError, MissingFileError
from geocobot.models.provenance import FORMAT_VERSION, read_provenance

from .mini import make_provenance


def rewritten(path, change):
    """The file with other metadata."""
    content = json.loads(make_provenance("small").to_json())
    change(content)
    save_file({"x": torch.zeros(2)}, path, metadata={"geocobot": json.dumps(content)})
    return path


def test_a_file_says_how_it_was_made(base_file):
    provenance = read_provenance(base_file)
    assert provenance == make_provenance("small", created=provenance.created)
    assert provenance.data == ("made-up places", "old maps")
    assert provenance.license == "Apache-2.0"
    assert provenance.geocobot_version == __version__
    assert provenance.format_version == FORMAT_VERSION
    assert date.fromisoformat(provenance.created)


def test_a_recipe_is_what_json_knows(base_file):
    with pytest.raises(TypeError, match="not JSON serializable"):
        make_provenance("small", recipe={"path": base_file}).to_json()


def test_no_such_file(tmp_path):
    with pytest.raises(MissingFileError, match=r"none.safetensors does not exist"):
        read_provenance(tmp_path / "none.safetensors")


@pytest.mark.parametrize("keep", [0, 7, 500, -1, -1000])
def test_a_truncated_file(base_file, keep):
    base_file.write_bytes(base_file.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"cannot be read as a base file .*may be truncated"):
        read_provenance(base_file)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_a_foreign_safetensors_file(tmp_path, metadata):
    path = tmp_path / "llm.safetensors"
    save_file({"weight": torch.zeros(3)}, path, metadata=metadata)
    with pytest.raises(CheckpointError, match=r"not written by geocobot\. geocobot needs a base"):
        read_provenance(path)


def test_a_model_file_is_no_base_file(tmp_path):
    path = rewritten(tmp_path / "m.safetensors", lambda c: c.update(segmenter={}))
    with pytest.raises(CheckpointError, match="is the model file of a training run"):
        read_provenance(path)


def test_weights_that_went_through_several_runs(tmp_path):
    path = rewritten(tmp_path / "on.safetensors", lambda c: c.update(after=dict(c), seed=8))
    provenance = read_provenance(path)
    assert provenance.runs == (provenance.after, provenance)
    assert provenance.after is not None
    assert provenance.after.after is None
    assert provenance.seed == 8


def test_a_newer_format(tmp_path):
    newer = {"format_version": 2, "geocobot_version": "9.1"}
    path = rewritten(tmp_path / "new.safetensors", lambda c: c.update(newer))
    with pytest.raises(CheckpointError, match=r"written by geocobot 9.1 in format 2.*pip install"):
        read_provenance(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("format_version"), "format_version"),
        (lambda c: c.pop("recipe"), "recipe: Field required"),
        (lambda c: c.update(seed="x"), "seed: Input should be a valid integer"),
    ],
)
def test_metadata_that_make_no_sense(tmp_path, change, message):
    path = rewritten(tmp_path / "odd.safetensors", change)
    with pytest.raises(CheckpointError, match=rf"card that makes no sense \(.*{message}"):
        read_provenance(path)


def test_metadata_that_are_no_json(tmp_path):
    path = tmp_path / "odd.safetensors"
    save_file({"x": torch.zeros(2)}, path, metadata={"geocobot": "{"})
    with pytest.raises(CheckpointError, match=r"makes no sense \(JSONDecodeError"):
        read_provenance(path)
