"""A model that MLflow loads: every form of input, batches in a worker, and messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel, load_model
from mlflow.types import DataType

from paratopic import load
from paratopic.bulk import jobs
from paratopic.inference.model import Model
from paratopic.inference.modes import Calibration
from paratopic.inference.registry import asking
from paratopic.project.passages import Passage
from paratopic.project.topics import Topics, join_cell
from paratopic.tracking import pyfunc
from tests.programs import python
from tests.samples import WORDS, examples, fit

TEXTS = ["A tariff on goods and a quota.", " ", "The army left the border."]


@pytest.fixture(scope="module")
def model(reading_folder: Path) -> Model:
    return load(reading_folder)


@pytest.fixture(scope="module")
def saved(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("served") / "model"
    pyfunc.save(model.folder, place, "# A card")
    names = {path.name for path in Path(place).rglob("*")}
    assert not any(name.endswith((".pkl", ".pickle")) for name in names)
    return place


@pytest.fixture(scope="module")
def loaded(saved: Path) -> PyFuncModel:
    return load_model(str(saved))


def expected(model: Model, texts: list[str]) -> dict[str, list[Any]]:
    answers = model.predict(texts)
    columns: dict[str, list[Any]] = {
        "topic": [answer.topic for answer in answers],
        "confidence": [answer.confidence for answer in answers],
        "sure": [answer.sure for answer in answers],
    }
    scores = {name: [answer.scores[name] for answer in answers] for name in model.classes_}
    return columns | {f"score_{name}": values for name, values in scores.items()}


@pytest.mark.parametrize(
    "given",
    [
        pd.DataFrame({"text": TEXTS}),
        pd.DataFrame({"text": TEXTS, "id": [1, 2, 3]}),
        pd.Series(TEXTS),
        TEXTS,
        np.array(TEXTS),
        np.array(TEXTS, dtype=object)[:, None],
    ],
)
def test_every_input_gives_a_row_per_text(model: Model, loaded: PyFuncModel, given: Any) -> None:
    table = loaded.predict(given)
    assert list(table.to_dict("list").items()) == list(expected(model, TEXTS).items())
    assert table["topic"][1] is None and table["sure"].dtype == bool


AROUND: dict[str, list[str | None]] = {
    "text_preceding": ["The navy.", "", None],
    "text_following": ["", "", "A chip."],
    "heading": ["Talks / Duty", "", ""],
    "title": ["Talks", "", ""],
}


@pytest.mark.parametrize("given", [TEXTS, np.array(TEXTS), pd.DataFrame({"text": TEXTS, "id": 1})])
@pytest.mark.parametrize("names", [list(AROUND), ["text_following"], ["heading", "title"], []])
def test_what_stands_around_texts_comes_as_parameters(
    model: Model, loaded: PyFuncModel, given: Any, names: list[str]
) -> None:
    nothing = {name: [""] * len(TEXTS) for name in AROUND}
    told = nothing | {name: AROUND[name] for name in names}
    rows = zip(TEXTS, *(told[name] for name in AROUND), strict=True)
    passages = [
        Passage(
            text, before or (), after or (), (heading or "").removeprefix("Talks / "), title or ""
        )
        for text, before, after, heading, title in rows
    ]
    in_context, alone = (
        [answer.confidence for answer in model.predict(texts)] for texts in (passages, TEXTS)
    )
    table = loaded.predict(given, params={name: AROUND[name] for name in names})
    assert table["confidence"].tolist() == in_context
    assert (in_context == alone) == (not names)


def test_parameters_that_fit_no_texts_are_refused(loaded: PyFuncModel) -> None:
    with pytest.raises(MlflowException, match="heading has 2 items for 3 texts"):
        loaded.predict(TEXTS, params={"heading": ["a", "b"]})
    with pytest.raises(MlflowException, match="Invalid parameters found"):
        loaded.predict(TEXTS, params={"heading": [1, 2, 3]})
    with pytest.raises(MlflowException, match="text is NoneType, not str"):
        missing = pd.DataFrame({"text": ["a", None]}, dtype=object)
        loaded.predict(missing, params={"title": ["a", ""]})


# What MLflow's spark_udf does in a Spark worker with each batch of rows.
WORKER = """
import json, sys
import mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
(name,) = model.metadata.get_input_schema().input_names()
for texts in json.load(sys.stdin):
    rows = pd.Series(texts, index=range(7, 7 + len(texts)), name="body")
    table = model.predict(pd.DataFrame({name: rows}, columns=[name]), {})
    print(json.dumps(table[json.loads(sys.argv[2])].to_dict("list")))
"""


def test_batches_in_a_worker_process(model: Model, saved: Path) -> None:
    outputs = pyfunc.signature(model).outputs
    assert {column.name: column.type for column in outputs}["sure"] == DataType.boolean
    names = [column.name for column in outputs]
    batches = [TEXTS, [], TEXTS[:1]]
    worker = python(WORKER, str(saved), json.dumps(names), input=json.dumps(batches), check=True)
    for texts, line in zip(batches, worker.stdout.splitlines(), strict=True):
        assert json.loads(line) == expected(model, texts)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (pd.DataFrame({"id": ["a"], "text": ["A tariff."]}), "text"),
        (pd.DataFrame({"text": ["a", None]}), r"texts\[1\] is \w+, not str"),
    ],
)
def test_input_without_texts_is_refused(loaded: PyFuncModel, given: Any, message: str) -> None:
    with pytest.raises(MlflowException, match=message):
        loaded.predict(given)


def test_mlflow_evaluates_answers(loaded: PyFuncModel, rows: pd.DataFrame, tmp_path: Path) -> None:
    table = rows.assign(label=rows["topic"].map(join_cell))[["text", "label"]].iloc[::4]
    answers = loaded.predict(table[["text"]])["topic"].fillna("")
    with asking(f"sqlite:///{tmp_path / 'mlflow.db'}"), mlflow.start_run():
        evaluation = mlflow.models.evaluate(
            lambda texts: loaded.predict(texts)["topic"].fillna(""),
            table,
            targets="label",
            model_type="classifier",
        )
    right = (answers.to_numpy() == table["label"].to_numpy()).mean()
    assert evaluation.metrics["accuracy_score"] == right > 0.5


def test_in_mode_multi_all_topics_are_told(rows: pd.DataFrame, tmp_path: Path) -> None:
    topics = Topics("multi", tuple(WORDS))
    fitted = fit("baseline", examples(rows, topics.names), topics, tmp_path)
    fitted.save(tmp_path / "model", Calibration(thresholds=(0.3, 0.5, 0.5)))
    model, texts = load(tmp_path / "model"), [*rows["text"][:8], " "]
    expected = [";".join(answer.topics) for answer in model.predict(texts)]
    assert jobs.predict_columns(model, texts)["predicted_topics"] == expected
    pyfunc.save(model.folder, tmp_path / "served", "# A card")
    table = load_model(str(tmp_path / "served")).predict(texts)
    assert list(table) == ["topics", "confidence", "sure", *(f"score_{name}" for name in WORDS)]
    assert table["topics"].tolist() == expected and not table["sure"].any()
