"""What options are set to: the same in Python, YAML and on the command line."""

from __future__ import annotations

import re
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocobot.config import DemoOptions, PredictOptions, PretrainOptions, TrainOptions
from geocobot.errors import ConfigError, MissingFileError
from geocobot.settings import check_limits, make_options, to_yaml
from geocobot.yaml_file import read_yaml

KINDS = (TrainOptions, PredictOptions, DemoOptions)
LEAST = {
    TrainOptions: {"raster": ["a.tif"], "labels": ["b.shp"]},
    PredictOptions: {"raster": ["a.tif"], "model": "m.safetensors"},
    DemoOptions: {},
}

# Words that YAML would read as something else, and letters beyond ASCII.
_TEXT = st.one_of(
    st.sampled_from(["no", "1e3", "null", "~", "3,2,1", "2024-01-01", "a: b", "#x", " y "]),
    st.text(
        st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff\u2028\u2029\x85"),
        min_size=1,
        max_size=12,
    ),
)
_LENGTH = st.one_of(st.none(), st.floats(0, 1e9))
_TRAIN = st.fixed_dictionaries(
    {
        "raster": st.lists(_TEXT, min_size=1, max_size=3),
        "labels": st.lists(_TEXT, min_size=1, max_size=3),
    },
    optional={
        "out": st.one_of(st.none(), _TEXT),
        "class_field": st.one_of(st.none(), _TEXT),
        "line_width": _LENGTH,
        "nodata": st.one_of(st.none(), st.floats(allow_nan=False)),
        "bands": st.one_of(st.none(), st.lists(st.integers(1, 99), min_size=1, max_size=4)),
        "base": st.sampled_from(["auto", "tiny", "vit_b", "vit_l", "vit_h"]),
        "adapter": st.sampled_from(["lora", "adaptformer", "none"]),
        "cobot": st.booleans(),
        "rank": st.one_of(st.none(), st.integers(1, 64)),
        "epochs": st.integers(1, 1000),
        "overwrite": st.booleans(),
        "seed": st.integers(0, 2**32),
    },
)


@settings(deadline=None)
@given(values=_TRAIN)
def test_yaml_goes_round(tmp_path_factory, values):
    options = make_options(TrainOptions, values, "test")
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(to_yaml(options), encoding="utf-8")
    # Consent holds for one call.
    asked_again = replace(options, overwrite=False, resume=False)
    assert make_options(TrainOptions, read_yaml(path), str(path)) == asked_again


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    def test_defaults_go_round(self, kind, tmp_path):
        options = make_options(kind, LEAST[kind], "test")
        path = tmp_path / "config.yaml"
        path.write_text(to_yaml(options), encoding="utf-8")
        assert make_options(kind, read_yaml(path), "test") == options

    def test_every_option_is_checked(self, kind):
        for field in fields(kind):
            wrong = {**LEAST[kind], field.name: {"not": "this"}}
            with pytest.raises(ConfigError, match=rf"^test sets {field.name}"):
                make_options(kind, wrong, "test")

    def test_unknown_option_lists_the_known(self, kind):
        with pytest.raises(
            ConfigError, match=r"has the option 'epoch', which .*Known are .*--help"
        ):
            make_options(kind, {**LEAST[kind], "epoch": 3}, "run.yaml")

    def test_missing_options_are_named(self, kind):
        required = [f.name for f in fields(kind) if f.default is MISSING]
        for name in required:
            values = {n: v for n, v in LEAST[kind].items() if n != name}
            with pytest.raises(ConfigError, match=rf"does not say {name}\..*Add --{name}"):
                make_options(kind, values, "run.yaml")

    def test_yaml_keeps_the_order_of_the_options(self, kind):
        options = make_options(kind, LEAST[kind], "test")
        names = [line.split(":")[0] for line in to_yaml(options).splitlines() if line[0].isalpha()]
        assert names == [n for n in asdict(options) if n not in {"overwrite", "resume"}]


class TestValues:
    @pytest.mark.parametrize(
        ("name", "value", "said"),
        [
            ("base", "vit_x", "sets base to 'vit_x'"),
            ("epochs", 2.5, "sets epochs to 2.5"),
            ("epochs", "many", "sets epochs to 'many'"),
            ("targets", ["red"], r"sets targets\.0 to 'red'"),
            ("cobot", "perhaps", "sets cobot to 'perhaps'"),
        ],
    )
    def test_of_the_wrong_kind(self, name, value, said):
        with pytest.raises(ConfigError, match=said):
            make_options(TrainOptions, {**LEAST[TrainOptions], name: value}, "run.yaml")

    def test_one_value_stands_for_a_list(self):
        options = make_options(
            TrainOptions, {"raster": "a.tif", "labels": "b.shp", "bands": 2}, "test"
        )
        assert options.raster == ("a.tif",)
        assert options.labels == ("b.shp",)
        assert options.bands == (2,)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("out", ""), ("class_field", ""), ("checkpoint", ""), ("raster", ["a.tif", ""])],
    )
    def test_an_empty_text_is_no_value(self, name, value):
        with pytest.raises(ConfigError, match=rf"test sets {name} to an empty text\..*a variable"):
            make_options(TrainOptions, {**LEAST[TrainOptions], name: value}, "test")

    @pytest.mark.parametrize(
        ("name", "text", "value"),
        [
            ("bands", "3, 2,1", (3, 2, 1)),
            ("classes", "tree,building=#e31a1c", ("tree", "building=#e31a1c")),
            ("classes", [7, 3], ("7", "3")),
            ("classes", 7, ("7",)),
            ("classes", ["b, c"], ("b, c",)),
            ("value_range", "0,3000", (0.0, 3000.0)),
            ("logger", "csv,mlflow", ("csv", "mlflow")),
            ("val_area", "north,south.gpkg", ("north,south.gpkg",)),
        ],
    )
    def test_commas_separate_what_they_do_on_the_command_line(self, name, text, value):
        options = make_options(TrainOptions, {**LEAST[TrainOptions], name: text}, "test")
        found = getattr(options, name)
        assert tuple(int(v) if name == "bands" else v for v in found) == value

    @pytest.mark.parametrize("name", ["classes", "val_area", "labelled_area", "bands"])
    def test_an_empty_list_is_no_value(self, name):
        with pytest.raises(ConfigError, match=f"test sets {name} to an empty list"):
            make_options(TrainOptions, {**LEAST[TrainOptions], name: []}, "test")

    @pytest.mark.parametrize(
        ("name", "value"),
        [("epochs", True), ("line_width", False), ("class_field", True), ("bands", [3, True, 1])],
    )
    def test_yes_and_no_are_no_numbers(self, name, value):
        with pytest.raises(ConfigError, match=rf"test sets {name} to yes or no\..*in quotes"):
            make_options(TrainOptions, {**LEAST[TrainOptions], name: value}, "test")

    def test_yes_and_no_are_what_a_switch_takes(self):
        options = make_options(TrainOptions, {**LEAST[TrainOptions], "cobot": False}, "test")
        assert options.cobot is False

    @pytest.mark.parametrize("nothing", [[], None, ""])
    def test_an_empty_required_option_is_missing(self, nothing):
        with pytest.raises(ConfigError, match="does not say raster"):
            make_options(TrainOptions, {"raster": nothing, "labels": "b.shp"}, "test")


class TestReadYaml:
    @pytest.mark.parametrize("text", ["rank: 4\nrank: 8", "line-width: 3\nline_width: 5"])
    def test_nothing_is_said_twice(self, tmp_path, text):
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(ConfigError, match=r"a\.yaml says (rank|line_width) twice"):
            read_yaml(tmp_path / "a.yaml")

    def test_times_of_day_are_no_numbers(self, tmp_path):
        (tmp_path / "a.yaml").write_text("max_minutes: 1:30\nepochs: 90\nrate: 1.5e-3\nlow: .5")
        read = read_yaml(tmp_path / "a.yaml")
        assert read == {"max_minutes": "1:30", "epochs": 90, "rate": 0.0015, "low": 0.5}

    @pytest.mark.parametrize("text", ["out: 2024-02-30", "out: " + "[" * 5000])
    def test_what_cannot_be_is_no_yaml(self, tmp_path, text):
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(ConfigError, match=r"a\.yaml is not valid YAML"):
            read_yaml(tmp_path / "a.yaml")

    def test_dashes_are_underscores(self, tmp_path):
        path = tmp_path / "a.yaml"
        path.write_text("line-width: 3\nclass_field: kind\n")
        assert read_yaml(path) == {"line_width": 3, "class_field": "kind"}

    def test_missing(self, tmp_path):
        with pytest.raises(MissingFileError, match=r"none\.yaml does not exist"):
            read_yaml(tmp_path / "none.yaml")

    def test_folder(self, tmp_path):
        with pytest.raises(MissingFileError, match=r"is a folder\. --config names a YAML file"):
            read_yaml(tmp_path)

    @pytest.mark.parametrize("content", ["", "- a\n- b\n", "only words"])
    def test_no_mapping(self, tmp_path, content):
        path = tmp_path / "a.yaml"
        path.write_text(content)
        with pytest.raises(ConfigError, match="is not a mapping"):
            read_yaml(path)

    @pytest.mark.parametrize(
        "content", [b"a: [1\nb: 2", b"a: \xff\xfe", b"a: !!python/name:os.system"]
    )
    def test_no_yaml_is_one_paragraph(self, tmp_path, content):
        path = tmp_path / "a.yaml"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"a\.yaml is not valid YAML") as caught:
            read_yaml(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [
        ("seed", -1, "from 0 to 4294967296"),
        ("batch_size", 0, "at least 1"),
        ("line_width", 0.0, "above 0"),
        ("max_minutes", -2.0, "above 0"),
        ("patch_size", 100, "a multiple of 64"),
        ("patch_size", -64, "at least 1"),
        ("crop_size", 65, "a multiple of 64"),
        ("line_width", 20_000, "above 0 and at most 10000"),
        ("seed", 2**40, "from 0 to 4294967296"),
        ("max_minutes", float("inf"), "finite"),
        ("learning_rate", float("nan"), "above 0"),
    ],
)
def test_numbers_outside_their_limits_are_refused(name: str, value: float, needed: str) -> None:
    options = TrainOptions(raster=("a.tif",), labels=("b.shp",), **{name: value})
    flag = f"--{name.replace('_', '-')}"
    found = re.escape(f"{flag} is {value:g}. It has to ")
    with pytest.raises(ConfigError, match=rf"{found}(be|lie) {needed}"):
        check_limits(options)


def test_every_one_of_several_numbers_has_to_be_within_the_limits() -> None:
    check_limits(PretrainOptions(crop_size=(256, 128)))
    with pytest.raises(ConfigError, match=r"--crop-size is 100\. It has to be a multiple of 64"):
        check_limits(PretrainOptions(crop_size=(256, 100)))


def test_defaults_are_within_their_limits() -> None:
    check_limits(PretrainOptions())
    check_limits(TrainOptions(raster=("a.tif",), labels=("b.shp",)))
    check_limits(PredictOptions(raster=("a.tif",), model="m.safetensors"))
    check_limits(DemoOptions())


def test_a_long_path_stays_on_one_line():
    path = "/a folder with spaces" * 20
    options = PredictOptions(raster=(path,), model=path)
    assert path in to_yaml(options)


def test_a_yaml_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    def refused(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "a.yaml").write_text("seed: 1", encoding="utf-8")
    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(ConfigError, match=r"a\.yaml cannot be read \(Permission denied\)"):
        read_yaml(tmp_path / "a.yaml")
