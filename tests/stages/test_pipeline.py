"""The real pipeline from end to end, on the real seed, with a tiny encoder."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pandas as pd
import pytest

from paratopic.inference.calibration import NEVER
from paratopic.project.files import CHECKPOINTS
from paratopic.project.kinds import KINDS
from tests.programs import runs, sh
from tests.samples import WORDS, paragraph


def test_reports_of_the_seed(project: Path) -> None:
    comparison = json.loads((project / "reports/comparison.json").read_text())
    assert set(comparison["models"]) == {"dummy", "baseline", "transformer"}
    assert comparison["n"] == 25
    assert (comparison["n_folds"], comparison["n_repeats"]) == (4, 2)
    assert comparison["split_unit"] == "paragraph"
    for name in ("baseline", "transformer"):
        folder = project / "reports/models" / name
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["macro_f1"]["low"] <= metrics["macro_f1"]["value"]
        assert metrics["macro_f1"] == comparison["models"][name]["macro_f1"]
        assert metrics["split_unit"] == "paragraph"
        assert (
            "all labels are from one article: expect lower figures on new articles"
            in metrics["notes"]
        )
        assert metrics["topics"]["trade"]["support"] == 8
        assert 0 <= metrics["coverage"]["value"] <= 1
        # 25 paragraphs are too few to promise anything of sure predictions.
        sure = {"threshold": None, "target": 0.9, "share": 0, "precision": None}
        assert metrics["abstention"]["sure"] == sure | {"groups_needed": 44, "groups": 21}
        manifest = json.loads((project / "models" / name / "paratopic.json").read_text())
        thresholds = manifest["calibration"]["thresholds"]
        assert len(thresholds) == 4 and manifest["calibration"]["sure"] == NEVER
        card = (folder / "card.md").read_text(encoding="utf-8")
        assert f"| macro-F1, topic forced | {metrics['macro_f1']['value']:.3f} |" in card
        assert f"most so of all topics: trade {thresholds[0]:.2f}, technology" in card
        note = (project / "models" / name / "README.md").read_text(encoding="utf-8")
        assert "trade, technology" in note and "macro-F1" not in note
        final = json.loads((folder / "final.json").read_text())
        assert (final["n_labelled"], final["n_unlabelled"]) == (25, 0)
        parity = final["parity"]
        assert (parity["gap"] <= 0.005) if name == "transformer" else parity == {}
        table = pd.read_csv(folder / "predictions.csv", keep_default_na=False)
        assert len(table) == 25 and (table["label"] == "").sum() == 4
    assert (project / "reports/comparison.png").read_bytes().startswith(b"\x89PNG")
    # Paragraphs of one article are in several folds: models that know the definitions alone decide.
    assert list(comparison["leads"]) == ["transformer - baseline"]
    assert comparison["leads"] != comparison["differences"]
    leads = comparison["leads"]["transformer - baseline"]["value"] > 0.02
    assert comparison["champion"] == ("transformer" if leads else "baseline")
    assert comparison["reason"].startswith("with the definitions alone, the macro-F1 of its ")
    prepared = json.loads((project / "reports/prepare.json").read_text())
    of_headings = [row for row in prepared["weak"] if row["source"] == "headings"]
    assert sum(row["compared"] for row in of_headings) == 12
    assert all(row["right"] == row["compared"] for row in of_headings)


def test_out_of_fold_scores_cover_every_paragraph_of_every_repeat(project: Path) -> None:
    folds = pd.read_parquet(project / "data/folds.parquet")
    for name in ("baseline", "transformer"):
        scores = pd.read_parquet(project / "data/oof" / name / "scores.parquet")
        both = scores.merge(folds, on=["id", "repeat", "fold"])
        assert len(both) == len(scores) == len(folds) == 25 * 2
        alone = pd.read_parquet(project / "data/oof" / name / "definitions.parquet")
        assert sorted(alone["id"]) == sorted(set(folds["id"])) and set(alone["repeat"]) == {0}
        assert list(scores.drop(columns="fold")) == list(alone)


def test_repeating_changes_nothing_and_adds_no_run(project: Path) -> None:
    before = runs(project)
    assert sorted(name.partition(" ")[0] for name in before) == ["baseline", "transformer"]
    said = sh(project, "dvc", "repro")
    assert "MLflow is up to date" in said
    assert said.count("Running stage") == 3, said  # installed, prepare and track, which always look
    assert runs(project) == before
    assert sh(project, "git", "status", "--porcelain") == ""


def test_forcing_stages_leaves_the_lock_as_it_was(project: Path) -> None:
    """Fits of the transformer are compared byte by byte elsewhere (`tests.inference`)."""
    lock = (project / "dvc.lock").read_bytes()
    shutil.rmtree(project / CHECKPOINTS)  # the scores before calibration
    of_models = [f"{stage}@{name}" for stage in ("evaluate", "card") for name in KINDS]
    stages = ["prepare", "split", "score@baseline", "train@baseline", *of_models, "compare"]
    output = sh(project, "dvc", "repro", "--force", "--single-item", *stages, "report", "track")
    assert output.count("Running stage") == len(stages) + 2
    assert "MLflow is up to date" in output  # the models are the same
    assert (project / "dvc.lock").read_bytes() == lock


def test_an_unreachable_server_fails_clearly_and_is_filled_later(project: Path) -> None:
    said = sh(project, "dvc", "repro", fails=True, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert "cannot be written to" in said and "safe on disk" in said
    assert (project / "models/champion").exists()
    assert "up to date" in sh(project, "dvc", "repro")


def test_a_labelled_table_with_other_topics_and_one_model(project: Path, tmp_path: Path) -> None:
    rng = random.Random(1)
    rows = [(paragraph(name, rng), name.title(), n % 20) for n in range(40) for name in WORDS]
    rows += [("It rained all day.", "Other", 3)]
    table = tmp_path / "table.csv"
    frame = pd.DataFrame(rows, columns=["text", "label", "group"])
    frame.to_csv(table, index=False)
    names = ",".join(name.title() for name in WORDS)
    sh(
        project,
        *("dvc", "exp", "run", "-S", f"prepare.sources=[{table}]"),
        *("-S", f"topics.codebook=[{names}]", "-S", "prepare.no_topic=[Other]"),
        *("-S", "models=[baseline]", "-S", "split.holdout=0.25"),
    )
    comparison = json.loads((project / "reports/comparison.json").read_text())
    assert set(comparison["models"]) == {"dummy", "baseline"}
    assert comparison["champion"] == "baseline"
    assert comparison["split_unit"] == "article"
    assert comparison["leads"] == {
        "baseline - dummy": comparison["differences"]["baseline - dummy"]
    }
    assert not (project / "data/oof/baseline/definitions.parquet").exists()  # topics have none
    assert comparison["models"]["baseline"]["macro_f1"]["value"] > 0.8
    said = sh(
        project, "paratopic", "predict", "--json", "seeds/us-china-talks-madrid-2025-09-15.txt"
    )
    assert set(json.loads(said.splitlines()[0])["scores"]) == {name.title() for name in WORDS}
    # That the rows are a random sample calibrates and measures anew, and fits nothing.
    frame.assign(drawn=1).to_csv(table, index=False)
    said = sh(project, "dvc", "repro")
    assert "baseline: no fit" in said and "transformer" not in said
    weighed = json.loads((project / "reports/models/baseline/metrics.json").read_text())
    assert weighed["macro_f1"]["value"] == pytest.approx(
        comparison["models"]["baseline"]["macro_f1"]["value"]
    )
    frame[1:].assign(drawn=1).to_csv(table, index=False)
    said = sh(project, "paratopic", "status")
    assert "; the last fits took " in said and "121 labelled paragraphs" in said
    said = sh(project, "dvc", "repro", "score@baseline")
    assert "because texts, labels, folds changed; the last ones took " in said
    sh(project, "git", "checkout", "-q", ".")
    sh(project, "dvc", "checkout", "--force")


def test_before_anyone_has_labelled_the_descriptions_predict(project: Path, tmp_path: Path) -> None:
    article = tmp_path / "plain.txt"
    article.write_text("The tariff on goods rose.\n\nThe navy left the port.\n", encoding="utf-8")
    said = sh(
        project,
        *("dvc", "exp", "run", "-n", "unlabelled", "-S", f"prepare.sources=[{article}]"),
        *("-S", "prepare.labels=null"),
    )
    assert "no labelled paragraph has a topic" in said
    comparison = json.loads((project / "reports/comparison.json").read_text())
    assert (comparison["n"], comparison["champion"]) == (0, "transformer")
    assert "transformer · unlabelled" in runs(project)
    lines = sh(project, "paratopic", "predict", "--json", str(article)).splitlines()
    answers = [json.loads(line) for line in lines]
    assert len(answers) == 2
    for answer in answers:
        most, confidence = max(answer["scores"].items(), key=lambda item: item[1])
        none = 1 - sum(answer["scores"].values())
        assert answer["topic"] == (most if confidence >= none else None)
        # The definitions alone say how likely it has a topic, and none is called sure.
        assert 0 < sum(answer["scores"].values()) < 1
    manifest = json.loads((project / "models/transformer/paratopic.json").read_text())
    assert manifest["calibration"]["thresholds"] == [1.0] * 4
    assert manifest["calibration"]["sure"] == NEVER
    card = (project / "reports/models/transformer/card.md").read_text(encoding="utf-8")
    assert "Nothing was measured" in card and "No labelled paragraph" in card
    assert "nothing is measured" in " ".join(sh(project, "paratopic", "report").split())
    sh(project, "git", "checkout", "-q", ".")
    sh(project, "dvc", "checkout", "--force")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (',security,"Beyond', ',securty,"Beyond', 'line 14: unknown topic "securty"'),
        ("7a9316aa49,", "0000000000,", "line 14: us-china-talks-madrid-2025-09-15:0000000000"),
        (
            "us-china-talks-madrid-2025-09-15:6796d90aa9,security",
            "us-china-talks-madrid-2025-09-15:7a9316aa49,trade",
            "labels.csv, line 14 labels it",
        ),
    ],
)
def test_wrong_labels_stop_the_pipeline(project: Path, old: str, new: str, told: str) -> None:
    labels = project / "seeds/labels.csv"
    before = labels.read_text(encoding="utf-8")
    assert before.count(old) == 1
    labels.write_text(before.replace(old, new), encoding="utf-8")
    said = sh(project, "dvc", "repro", fails=True)
    labels.write_text(before, encoding="utf-8")
    # What there is stays as it was.
    assert (project / "data/paragraphs.parquet").exists()
    assert sh(project, "git", "status", "--porcelain") == ""
    assert told in said
