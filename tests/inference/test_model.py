"""One contract, both models: in memory, from their folder, and when a folder is damaged."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.inference.folder import Calibration
from paratopic.inference.loading import _kept, load, predict
from paratopic.inference.scores import Scores, combine
from paratopic.inference.transformer import EncoderClassifier, batches
from paratopic.project.errors import UserError
from paratopic.project.topics import Topic, Topics
from paratopic.training.calibration import calibrated
from paratopic.training.examples import Examples, Fitted
from paratopic.transformer import export
from tests.samples import KINDS, examples, fit

MANIFEST = """
{"format": %d, "kind": "%s", "settings": {}, "calibration": {},
 "topics": {"mode": "single", "codebook": []}, "files": {}}
"""


@pytest.fixture(scope="module", params=KINDS)
def trained(
    request: pytest.FixtureRequest,
    rows: pd.DataFrame,
    topics: Topics,
    tiny_encoder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Fitted, Path]:
    model = fit(request.param, examples(rows, topics.names), topics, tiny_encoder)
    folder = tmp_path_factory.mktemp("models") / request.param
    model.save(folder, Calibration())
    return model, folder


def test_saved_equals_in_memory(
    trained: tuple[Fitted, Path], rows: pd.DataFrame, topics: Topics
) -> None:
    model, folder = trained
    loaded = load(folder)
    texts = [*rows["text"], "tariff " * 300, "☃ unheard-of"]
    assert loaded.classes_ == model.classes_ == topics.names
    assert loaded.definitions == {topic.name: topic.definition for topic in topics.topics}
    tolerance = export.INT8_GAP if loaded.kind == "transformer" else 1e-15
    np.testing.assert_allclose(
        loaded.predict_proba(texts), model.predict_proba(texts), rtol=0, atol=tolerance
    )


def test_the_full_graph_answers_as_the_network(
    trained: tuple[Fitted, Path], rows: pd.DataFrame
) -> None:
    model, folder = trained
    if folder.name == "transformer":
        settings = json.loads((folder / "paratopic.json").read_text())["settings"]
        settings["graph"] = EncoderClassifier.FULL
        texts = [*rows["text"], "a tariff", "tariff " * 300]
        scores, windows = EncoderClassifier(folder, "single", settings).read(texts)
        np.testing.assert_allclose(scores, model.predict_proba(texts), rtol=0, atol=1e-5)
        # 300 words in windows of 14 and two marks; neighbours share 4 words.
        assert windows[-2:].tolist() == [1, 30]


def test_an_answer_depends_on_its_text_alone(
    trained: tuple[Fitted, Path], rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(trained[1])
    texts = [*rows["text"], "tariff " * 300]
    together = model.predict_proba(texts)

    def same(scores: Scores) -> None:
        np.testing.assert_allclose(scores, together, rtol=0, atol=1e-5)

    same(model.predict_proba(texts[::-1])[::-1])
    same(np.array([model.predict_proba([text])[0] for text in texts]))
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr("paratopic.inference.transformer._pool", lambda: pool)
        np.testing.assert_array_equal(model.predict_proba(texts), together)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=60), st.integers(1, 30))
def test_batches_are_of_one_length_and_hold_every_row_once(lengths: list[int], tokens: int) -> None:
    made = batches(lengths, tokens)
    assert sorted(np.concatenate(made).tolist()) == list(range(len(lengths)))
    for rows in made:
        inside = {lengths[row] for row in rows}
        assert len(inside) == 1
        assert len(rows) == 1 or len(rows) * inside.pop() <= tokens


def test_a_hundred_threads_ask_one_model(trained: tuple[Fitted, Path], rows: pd.DataFrame) -> None:
    model = load(trained[1])
    texts = list(rows["text"])[:10]
    answers = model.predict(texts)
    with ThreadPoolExecutor(100) as pool:
        given = list(pool.map(lambda _: model.predict(texts), range(100)))
    assert given == [answers] * 100


def test_same_seed_same_bytes(
    trained: tuple[Fitted, Path],
    rows: pd.DataFrame,
    topics: Topics,
    tiny_encoder: Path,
    tmp_path: Path,
) -> None:
    folder = trained[1]
    fit(folder.name, examples(rows, topics.names), topics, tiny_encoder).save(
        tmp_path / "again", Calibration()
    )
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        again = tmp_path / "again" / path.relative_to(folder)
        assert again.read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("present", [["trade", "security"], ["security"]])
def test_topics_without_examples_get_no_probability(
    kind: str,
    present: list[str],
    rows: pd.DataFrame,
    topics: Topics,
    tiny_encoder: Path,
    tmp_path: Path,
) -> None:
    bare = Topics("single", topics.names)
    model = fit(kind, examples(rows[rows["topic"].isin(present)], topics.names), bare, tiny_encoder)
    model.save(tmp_path / "model", Calibration())
    for able in (model, load(tmp_path / "model")):
        scores = able.predict_proba(["tariff on chips", "an army"])
        absent = [n for n, name in enumerate(topics.names) if name not in present]
        assert (scores[:, absent] == 0).all()
        np.testing.assert_allclose(scores.sum(axis=1), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_no_topic_teach_what_has_none(
    kind: str, rows: pd.DataFrame, topics: Topics, tiny_encoder: Path, tmp_path: Path
) -> None:
    bare = Topics("single", topics.names)
    weather = [f"Rain and wind, then sun and rain, on day {n} of the week." for n in range(30)]
    data = examples(rows[rows["topic"] != ""], bare.names)
    more = Examples(
        [*data.texts, *weather],
        np.vstack([data.targets, np.zeros((30, len(topics.names)), dtype=bool)]),
        *[np.arange(len(data.texts) + 30)] * 2,
    )
    texts = ["A tariff on goods and customs duty.", "Sun, wind and rain all week."]
    without, model = (fit(kind, some, bare, tiny_encoder) for some in (data, more))
    np.testing.assert_allclose(without.predict_proba(texts).sum(axis=1), 1)
    some = model.predict_proba(texts).sum(axis=1)
    assert some[0] > 0.5 > some[1]
    # Which topic it is, if it is one, is learnt from texts that have one.
    own = Calibration(scale=(1 / 2, 1 / 2, 1 / 2, 1 / 3))
    model.save(tmp_path / kind, own)
    loaded = load(tmp_path / kind)
    long = [*texts, " ".join(texts * 20)]
    np.testing.assert_allclose(
        loaded.predict_proba(long), calibrated(model.predict_proba(long), own, "single"), atol=5e-3
    )
    assert loaded.predict(texts[1]).confidence < 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_descriptions_alone_make_a_model(
    kind: str, topics: Topics, tiny_encoder: Path, tmp_path: Path
) -> None:
    told = {"trade": "Tariff, export, customs.", "technology": "Chip, software, app."}
    described = Topics("single", tuple(Topic(name, text) for name, text in told.items()))
    nothing = Examples([], np.zeros((0, 2), dtype=bool), *[np.zeros(0, dtype=np.int64)] * 2)
    fit(kind, nothing, described, tiny_encoder).save(tmp_path / kind, Calibration())
    answers = load(tmp_path / kind).predict(list(told.values()))
    assert [answer.topic for answer in answers] == list(told)


def test_calibration_travels_with_the_model(
    rows: pd.DataFrame, topics: Topics, tiny_encoder: Path, tmp_path: Path
) -> None:
    model = fit("baseline", examples(rows, topics.names), topics, tiny_encoder)
    texts = ["A tariff on goods.", "The talks of both sides."]
    raw = model.predict_proba(texts)
    halved = Calibration(scale=(0.5,) * 4)
    model.save(tmp_path / "model", replace(halved, thresholds=(0.999,)))
    loaded = load(tmp_path / "model")
    np.testing.assert_allclose(loaded.predict_proba(texts), calibrated(raw, halved, "single"))
    assert [answer.topic for answer in loaded.predict(texts)] == [None, None]
    surest = loaded.predict_proba(texts).max(axis=1)
    model.save(tmp_path / "model", replace(halved, thresholds=(surest.max(),)))
    named = [answer.topic is not None for answer in load(tmp_path / "model").predict(texts)]
    assert named == (surest == surest.max()).tolist()


def test_predictions(trained: tuple[Fitted, Path]) -> None:
    model = load(trained[1])
    one = model.predict("A tariff on goods and a quota on exports.")
    assert one.topic in model.classes_
    assert list(one.scores) == list(model.classes_)
    assert one.confidence == max(one.scores.values()) == one.scores[str(one.topic)]
    assert model.predict(["A tariff on goods and a quota on exports."]) == [one]
    assert model.predict(iter([])) == []


@pytest.mark.parametrize("blank", ["", " \n\t"])
def test_a_blank_text_has_no_topic(trained: tuple[Fitted, Path], blank: str) -> None:
    answers = load(trained[1]).predict([blank, "tariff"])
    assert answers[0].topic is None
    assert set(answers[0].scores.values()) == {answers[0].confidence} == {1 / 3}
    assert answers[1].topic is not None


@pytest.mark.parametrize("wrong", [[None], ["a", 3], [b"a"], [float("nan")]])
def test_wrong_types_are_named_by_place(trained: tuple[Fitted, Path], wrong: list[object]) -> None:
    with pytest.raises(TypeError, match=rf"texts\[{len(wrong) - 1}\] is \w+, not str"):
        load(trained[1]).predict(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="list of str"):
        load(trained[1]).predict_proba("a single text")


def test_a_million_characters_are_read_to_the_end(trained: tuple[Fitted, Path]) -> None:
    model = load(trained[1])
    filler = "the talks on " * 80_000
    plain, ending = model.predict_proba([filler, filler + "missile navy troops " * 500])
    assert len(filler) > 1_000_000
    assert np.abs(plain - ending).max() > 1e-6


@pytest.mark.parametrize("place", [0, 1234, 2500, 4999])
def test_words_count_wherever_they_stand_in_a_long_text(
    trained: tuple[Fitted, Path], place: int
) -> None:
    model = load(trained[1])
    words = ["talks"] * 5000
    plain = model.predict(" ".join(words))
    words[place:place] = ["missile", "navy", "troops"]
    told = model.predict(" ".join(words))
    assert plain.windows == (500 if model.kind == "transformer" else 1)
    gaps = [abs(told.scores[topic] - plain.scores[topic]) for topic in model.classes_]
    assert max(gaps) > 1e-6


def test_a_folder_that_lacks_a_piece_or_is_damaged(
    trained: tuple[Fitted, Path], tmp_path: Path
) -> None:
    whole = trained[1]
    pieces = json.loads((whole / "paratopic.json").read_text())["files"]
    for name in pieces:
        broken = tmp_path / f"without {name}"
        shutil.copytree(whole, broken)
        (broken / name).unlink()
        with pytest.raises(UserError, match=f"lacks {name}"):
            load(broken)
        content = bytearray((whole / name).read_bytes())
        content[len(content) // 2] ^= 1
        (broken / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{name} is damaged"):
            load(broken)


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (None, "has no paratopic.json"),
        ("{", "damaged or foreign"),
        ("{}", "damaged or foreign"),
        ("[]", "damaged or foreign"),
        (MANIFEST % (99, "baseline"), "format 99"),
        (MANIFEST % (3, "forest"), "kind 'forest'"),
    ],
)
def test_foreign_folders(tmp_path: Path, manifest: str | None, told: str) -> None:
    if manifest is not None:
        (tmp_path / "paratopic.json").write_text(manifest)
    with pytest.raises(UserError, match=told):
        load(tmp_path)


def test_where_the_model_is_looked_for(
    trained: tuple[Fitted, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PARATOPIC_MODEL", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="make repro"):
        predict("a text")
    with pytest.raises(UserError, match="does not exist"):
        load(tmp_path / "nowhere")
    folder = trained[1]
    monkeypatch.setenv("PARATOPIC_MODEL", str(folder))
    by_environment = predict("A tariff on goods.")
    monkeypatch.delenv("PARATOPIC_MODEL")
    models = tmp_path / "models"
    shutil.copytree(folder, models / folder.name)
    (models / "champion").write_text(json.dumps({"champion": folder.name}))
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert predict("A tariff on goods.") == by_environment
    assert load(models / "champion").folder == models / folder.name
    (models / "champion").write_text("{")
    with pytest.raises(UserError, match="neither a model's folder nor a champion"):
        predict("a text")


def test_without_mlflow_its_models_are_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.artifacts", None)
    with pytest.raises(UserError, match=r"runs:/1/model: .* is not installed; pip install"):
        load("runs:/1/model")


def test_predicting_elsewhere_loads_nothing_of_training(
    trained: tuple[Fitted, Path], tmp_path: Path
) -> None:
    """From another folder and process; heavy packages stay out."""
    folder = trained[1]
    program = (
        "import sys, paratopic\n"
        "heavy = {'torch', 'transformers', 'mlflow', 'pandas', 'datasets', 'dvc', 'sklearn'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "print(paratopic.predict('A tariff on goods.').topic)\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PATH": "", "PARATOPIC_MODEL": str(folder)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == load(folder).predict("A tariff on goods.").topic


def test_windows_are_combined_by_their_length() -> None:
    topics = np.log([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    # The odds of having a topic: 4 to 1 and 1 to 1, and one of which that is certain.
    logits = np.column_stack([topics, [np.log(4), 0, np.inf]])
    scores = combine(logits, [30, 10, 7], np.array([0, 0, 1]), 2, "single")
    # The geometric mean of odds of 9 and 1, and of 4 and 1, the first three times as long.
    odds, some = 9 ** (30 / 40), 4 ** (30 / 40) / (1 + 4 ** (30 / 40))
    first = [some * odds / (1 + odds), some / (1 + odds), 1 - some]
    np.testing.assert_allclose(scores, [first[:2], [0.2, 0.8]])
    tempered = combine(logits / [3, 3, 2], [30, 10, 7], np.array([0, 0, 1]), 2, "single")
    after = calibrated(scores, Calibration((1 / 3, 1 / 3, 1 / 2)), "single")
    np.testing.assert_allclose(tempered, after)
    # Of several topics a text has those that any part of it has.
    parts = np.log(np.array([[9, 1 / 4], [1, 1]]))
    several = combine(parts, [30, 10], np.array([0, 0]), 1, "multi")
    np.testing.assert_allclose(several, [[0.9, 0.5]])


def test_the_default_model_is_loaded_anew_when_it_was_trained_anew(
    trained: tuple[Fitted, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARATOPIC_MODEL", str(trained[1]))
    _kept.cache_clear()
    predict("one")
    predict("two")
    assert _kept.cache_info().misses == 1
    (trained[1] / "paratopic.json").touch()
    predict("three")
    assert _kept.cache_info().misses == 2
