"""params.yaml is checked strictly."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from paratopic.project.errors import UserError
from paratopic.project.files import Paths
from paratopic.project.folder import run_stage
from paratopic.project.params import read_params
from paratopic.project.source_settings import Source, source_entry
from tests.programs import ROOT
from tests.samples import PARAMS, copy_settings, write_params

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")

PATH, CODEBOOK = Paths().params, Paths().codebook
EXPERIMENT = r"^  experiment: .*"
EPOCHS = r"^  epochs: .*"


def changed(folder: Path, old: str, new: str, file: Path = PATH) -> Path:
    """Write the repository's settings with a change of one file; returns params.yaml's path."""
    copy_settings(folder)
    text = (ROOT / file).read_text(encoding="utf-8")
    assert len(re.findall(old, text, re.MULTILINE)) == 1
    (folder / file).write_text(re.sub(old, new, text, flags=re.MULTILINE), encoding="utf-8")
    return folder / "params.yaml"


def test_an_integer_is_taken_for_a_float_and_1e_4_is_a_number(tmp_path: Path) -> None:
    params = read_params(changed(tmp_path, EPOCHS, "  learning_rate: 1e-4"))
    assert params.section("transformer").learning_rate == 1e-4
    params = read_params(changed(tmp_path, r"^baseline: .*", "baseline: {strengths: [1, 2]}"))
    assert params.section("baseline").strengths == (1, 2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (EPOCHS, "  epoch: 3", r'transformer.epoch: unknown key \(did you mean "epochs"'),
        (r"^calibrate:\n  #.*\n  #.*\n  precision: .*", "", r"calibrate: this key is missing"),
        (r"^seed: .*", "seed: 1.5", r"seed: .*integer.*got 1.5"),
        (r"^models: .*", "models: [forest]", r"models.0: .*baseline"),
        (r"^models: .*", "models: [baseline, baseline]", r"models: .*twice"),
        (r"^  mode: .*", "  mode: many", r"topics.mode: .*single"),
        (r"^track:", "trakc:", r'trakc: unknown key \(did you mean "track"'),
        (EPOCHS, "  epochs: !!set {1}", r"line 57 .* is a set"),
        (
            EXPERIMENT,
            "  experiment: 2025-09-15",
            r"line 69 cannot be read: 2025-09-15 is a date; write a text in quotes",
        ),
        (EXPERIMENT, '  experiment: "it\'s"', r"track.experiment: .*match"),
        (EXPERIMENT, r'  experiment: "\\uD800"', r"line 69 .*surrogates not allowed"),
        (EXPERIMENT, "  experiment: {[a]: 1}", r"line 69 .*not the name of a key"),
        (EPOCHS, "  learning_rate: .nan", r"transformer.learning_rate: .*finite"),
        (r"^  mode: .*", "  mode: multi\n  codebook: [a, b]", r"params.yaml .*codebook.yaml both"),
        *(
            (r"^  sources: .*", f"  sources: [{source}]", rf"prepare\.sources{message}")
            for source, message in (
                ("{path: t.csv, txt: body}", r'.0.txt: unknown key \(did you mean "text"\?\)$'),
                ("", ": .* at least 1 item"),
                ("{text: body}", ".0.path: .* is missing"),
            )
        ),
        (r"^  sources: .*", "  sources: [{16: x}]", r"line 29 .*: 16 is not the name of a key; w"),
        (r"^seed: .*", "seed: [", r"line \d+ cannot be read"),
        (r"^seed: .*", "seed: 2025-99-15", r"line 5 cannot be read: month must be in 1..12"),
        (r"^seed: .*", f"seed: {'9' * 5000}", r"line 5 cannot be read: .*4300 digits"),
        (r"^seed: .*", "seed: 1\nseed: 2", r'line 6 .*duplicate key "seed"'),
        (EPOCHS, "\tepochs: 3", r"line \d+ .*indent with spaces, not tabs"),
        (r"^seed: .*", "seed: &a [*a]", r"Circular reference"),
        (r"^seed: .*", f"seed: &a 1\nb: [{'*a, ' * 21}]", r"over 20 aliases \(\*name\)"),
        (r"^seed: .*", f"seed: {'[' * 500}{']' * 500}", r"nested too deeply"),
    ],
)
def test_a_bad_key_is_refused_by_name(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = changed(tmp_path, old, new)
    with pytest.raises(UserError, match=message) as caught:
        read_params(path)
    assert all(line.startswith(str(path)) for line in str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (r"^  - name: trade", "  - nam: trade", r"topics.0.nam: unknown key .*name"),
        (r"^  - name: trade", '  - name: "?"', r"topics.0: '\?' is not a topic name"),
        (r"^  - name: trade", "  - name: security", r"lists a topic twice: security"),
        (r"^topics:", "topic:", r'topic: unknown key \(did you mean "topics"'),
        (r"^topics:", "topics:\n  - sport: Matches.", r'"- name: sport".*"definition: Mat'),
        (r"^topics:", "topics: [", r"line \d+ cannot be read"),
    ],
)
def test_a_bad_codebook_is_refused_by_its_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = changed(tmp_path, old, new, CODEBOOK)
    with pytest.raises(UserError, match=message) as caught:
        read_params(path)
    own = str(Paths(tmp_path).codebook)
    assert all(line.startswith(own) for line in str(caught.value).splitlines())
    Paths(tmp_path).codebook.unlink()
    with pytest.raises(UserError, match=f"it has no {own}"):
        read_params(path)


def test_keys_that_are_left_out_have_their_defaults(tmp_path: Path) -> None:
    copy_settings(tmp_path)
    path = tmp_path / "params.yaml"
    settings = YAML(typ="safe").load(path)
    sections = [name for name, value in settings.items() if isinstance(value, dict)]
    empty: object
    for empty in ({}, None):
        YAML(typ="safe").dump(settings | dict.fromkeys(sections, empty), path)
        assert read_params(path) == PARAMS


def test_an_old_project_has_its_topics_in_params(tmp_path: Path) -> None:
    write_params({}, tmp_path / "params.yaml")
    assert not Paths(tmp_path).codebook.exists()
    assert read_params(tmp_path / "params.yaml") == PARAMS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("seed: 1\n# Café\n".encode("cp1252"), "params.yaml, line 2: is not UTF-8"),
        (b"seed: \0", "params.yaml cannot be read"),
        (b"%YAML 2.0\n---\nseed: 1", "params.yaml, line 1 cannot be read"),
        (b"%YAML 1.5\n---\nseed: 1", "params.yaml cannot be read"),
        (b"", "params.yaml: the file: Input should be an object"),
        (None, "params.yaml"),
    ],
)
def test_a_file_without_params_is_refused(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_params(path)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, len(TEXT)),
    st.integers(0, 30),
    st.binary(max_size=8)
    | st.sampled_from(
        [b"\t", b"&a", b"*a", b"? ", b": ", b"!!set ", b".nan", b"2025-01-01", b"---"]
    ),
)
def test_any_bytes_are_params_or_one_message_a_key(
    tmp_path_factory: pytest.TempPathFactory, start: int, length: int, put: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "params.yaml"
    copy_settings(path.parent)
    path.write_bytes(TEXT[:start].encode() + put + TEXT[start + length :].encode())
    try:
        read_params(path)
    except UserError as error:
        assert all(line.startswith(str(path)) for line in str(error).splitlines())


def test_a_source_is_a_path_or_says_what_the_columns_of_a_table_are(tmp_path: Path) -> None:
    own = Source("t.csv", text="body", group=None, labels={"16": "trade", "x: y": "none"})
    path = tmp_path / "params.yaml"
    write_params({"prepare.sources": [source_entry(own), source_entry(Source("seeds"))]}, path)
    params = read_params(path)
    assert params.prepare.sources == (own, "seeds")
    assert params.prepare.paths == ["t.csv", "seeds"]


def test_a_stage_whose_settings_change_while_it_runs_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_STAGE", "fit@baseline")
    monkeypatch.setattr("sys.argv", ["fit"])
    shutil.copy(ROOT / "dvc.yaml", here)
    copy_settings(here)
    # The stage does not read this section.
    run_stage(lambda _: print(changed(here, EXPERIMENT, "  experiment: x")))
    with pytest.raises(SystemExit, match=r"changed during the stage \(baseline\)"):
        run_stage(lambda _: print(changed(here, "^baseline: .*", "baseline: {inner_folds: 2}")))
    copy_settings(here)
    run_stage(lambda _: print(changed(here, "^topics:", "# A comment.\ntopics:", Paths().codebook)))
    with pytest.raises(SystemExit, match=r"changed during the stage \(topics\)"):
        run_stage(lambda _: print(changed(here, "- name: trade", "- name: tax", Paths().codebook)))
