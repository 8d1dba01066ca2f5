"""params.yaml is checked strictly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from paratopic.project.errors import UserError
from paratopic.project.params import read_params
from tests.programs import ROOT

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")


def changed(tmp_path: Path, old: str, new: str) -> Path:
    assert len(re.findall(old, TEXT, re.MULTILINE)) == 1
    path = tmp_path / "params.yaml"
    path.write_text(re.sub(old, new, TEXT, flags=re.MULTILINE), encoding="utf-8")
    return path


def test_the_projects_own_params_are_read() -> None:
    params = read_params(ROOT / "params.yaml")
    assert params.models == ("baseline", "transformer")
    assert params.topics.names == ("trade", "technology", "security", "diplomacy_venue")
    assert all(topic.definition for topic in params.topics.topics)


def test_an_integer_is_taken_for_a_float_and_1e_4_is_a_number(tmp_path: Path) -> None:
    params = read_params(changed(tmp_path, r"learning_rate: \S+", "learning_rate: 1e-4"))
    assert params.transformer.learning_rate == 1e-4
    assert read_params(changed(tmp_path, r"strengths: .*", "strengths: [1, 2]")).baseline.strengths


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (r"^  epochs: .*", "  epoch: 3", r'transformer.epoch: unknown key \(did you mean "epochs"'),
        (r"^  epochs: .*", "", r"transformer.epochs: this key is missing"),
        (r"^  epochs: .*", "  epochs: many", r'transformer.epochs: .*integer.*got "many"'),
        (r"^seed: .*", "seed: 1.5", r"seed: .*integer.*got 1.5"),
        (r"^models: .*", "models: [forest]", r"models.0: .*baseline"),
        (r"^models: .*", "models: [baseline, baseline]", r"models: .*twice"),
        (r"^  mode: .*", "  mode: many", r"topics.mode: .*single"),
        (r"^    - name: trade", "    - nam: trade", r"topics.codebook.0"),
        (r"^track:", "trakc:", r'trakc: unknown key \(did you mean "track"'),
        (r"^seed: .*", "seed: [", r"not valid YAML"),
    ],
)
def test_a_bad_key_is_refused_by_name(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_params(changed(tmp_path, old, new))


def test_a_missing_file_is_reported_with_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="project's root"):
        read_params(tmp_path / "params.yaml")
