"""A model that MLflow loads: types of input, batches in a worker, and messages."""

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
from paratopic.inference.registry import use_store
from paratopic.project.passages import Passage
from paratopic.project.topics import Topics, join_cell
from paratopic.tracking import pyfunc
from tests.programs import python
from tests.samples import WORDS, examples, fit

TEXTS = ["A tariff on goods and a quota.", " ", "The army left the border."]


@pytest.fixture(scope="module")
def model(context_model_folder: Path) -> Model:
    return load(context_model_folder)


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
    predictions = model.predict(texts)
    columns: dict[str, list[Any]] = {
        "topic": [row.topic for row in predictions],
        "confidence": [row.confidence for row in predictions],
        "sure": [row.sure for row in predictions],
    }
    for name in model.classes_:
        columns[f"score_{name}"] = [row.scores[name] for row in predictions]
    return columns


@pytest.mark.parametrize(
    "model_input",
    [
        pd.DataFrame({"text": TEXTS}),
        pd.DataFrame({"id": [1, 2, 3], "text": TEXTS}),
        pd.DataFrame({"text": TEXTS, "heading": ["", None, np.nan], "text_preceding": np.nan}),
        pd.Series(TEXTS, name="text"),
        [{"text": text} for text in TEXTS],
    ],
)
def test_every_input_gives_a_row_per_text(
    model: Model, loaded: PyFuncModel, model_input: Any
) -> None:
    table = loaded.predict(model_input)
    assert list(table.to_dict("list").items()) == list(expected(model, TEXTS).items())
    assert table["topic"][1] is None and table["sure"].dtype == bool


CONTEXT_COLUMNS: dict[str, list[Any]] = {
    "text_preceding": [["The customs.", "The navy."], np.array([], dtype=object), None],
    "text_following": [None, "", "A chip."],
    "heading": ["Talks / Duty", "", None],
    "title": ["Talks", None, ""],
}


@pytest.mark.parametrize("names", [list(CONTEXT_COLUMNS), ["text_following"], ["title", "heading"]])
def test_context_is_read_from_columns(model: Model, loaded: PyFuncModel, names: list[str]) -> None:
    context = {
        name: CONTEXT_COLUMNS[name] if name in names else [None] * len(TEXTS)
        for name in CONTEXT_COLUMNS
    }
    passages = [
        Passage(
            text,
            () if before is None else before,
            after or (),
            (heading or "").removeprefix("Talks / " if title else ""),
            title or "",
        )
        for text, before, after, heading, title in zip(TEXTS, *context.values(), strict=True)
    ]
    table = loaded.predict(
        pd.DataFrame({"text": TEXTS} | {name: CONTEXT_COLUMNS[name] for name in names})
    )
    in_context = [row.confidence for row in model.predict(passages)]
    without_context = [row.confidence for row in model.predict(TEXTS)]
    assert table["confidence"].tolist() == in_context != without_context


# MLflow's spark_udf does the same with each batch in a Spark worker, without training libraries.
WORKER = """
import json, sys
sys.modules |= dict.fromkeys(["torch", "transformers", "sklearn", "dvc"])
import mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
names = model.metadata.get_input_schema().input_names()
for texts in json.load(sys.stdin):
    rows = pd.Series(texts, index=range(7, 7 + len(texts)), name="body")
    table = model.predict(pd.DataFrame({names[0]: rows}, columns=names), {})
    print(json.dumps(table[json.loads(sys.argv[2])].to_dict("list")))
"""


def test_batches_in_a_worker_process(model: Model, saved: Path) -> None:
    outputs = pyfunc.signature(model).outputs
    assert {column.name: column.type for column in outputs}["sure"] == DataType.boolean
    names = [column.name for column in outputs]
    batches = [TEXTS, TEXTS[:1]]
    worker = python(WORKER, str(saved), json.dumps(names), input=json.dumps(batches), check=True)
    for texts, line in zip(batches, worker.stdout.splitlines(), strict=True):
        assert json.loads(line) == expected(model, texts)


@pytest.mark.parametrize(
    ("model_input", "message"),
    [
        (TEXTS, r"missing inputs \['text'\]"),
        (pd.DataFrame({"id": ["a"], "body": ["A tariff."]}), r"missing inputs \['text'\]"),
        (pd.DataFrame({"text": ["a", None]}), r"texts\[1\] is \w+, not str"),
        (pd.DataFrame({"text": ["a", None], "title": ["b", ""]}), r"text is \w+, not str"),
        (pd.DataFrame({"text": [7]}), "Incompatible input types"),
        (pd.DataFrame({"text": ["a"], "text_preceding": [[7]]}), "before is int, not str"),
    ],
)
def test_input_without_texts_is_refused(
    loaded: PyFuncModel, model_input: Any, message: str
) -> None:
    with pytest.raises(MlflowException, match=message):
        loaded.predict(model_input)


def test_mlflow_evaluates_predictions(
    loaded: PyFuncModel, rows: pd.DataFrame, tmp_path: Path
) -> None:
    table = rows.assign(label=rows["topic"].map(join_cell))[["text", "label"]].iloc[::4]
    predictions = loaded.predict(table[["text"]])["topic"].fillna("")
    with use_store(f"sqlite:///{tmp_path / 'mlflow.db'}"), mlflow.start_run():
        evaluation = mlflow.models.evaluate(
            lambda texts: loaded.predict(texts)["topic"].fillna(""),
            table,
            targets="label",
            model_type="classifier",
        )
    accuracy = (predictions.to_numpy() == table["label"].to_numpy()).mean()
    assert evaluation.metrics["accuracy_score"] == accuracy > 0.5


def test_in_mode_multi_all_topics_are_in_the_output(rows: pd.DataFrame, tmp_path: Path) -> None:
    topics = Topics("multi", tuple(WORDS))
    fitted = fit("baseline", examples(rows, topics.names), topics, tmp_path)
    fitted.save(tmp_path / "model", Calibration(thresholds=(0.3, 0.5, 0.5)))
    model, texts = load(tmp_path / "model"), [*rows["text"][:8], " "]
    expected = [";".join(row.topics) for row in model.predict(texts)]
    assert jobs.predict_columns(model, texts)["predicted_topics"] == expected
    pyfunc.save(model.folder, tmp_path / "served", "# A card")
    table = load_model(str(tmp_path / "served")).predict(pd.DataFrame({"text": texts}))
    assert list(table) == ["topics", "confidence", "sure", *(f"score_{name}" for name in WORDS)]
    assert table["topics"].tolist() == expected and not table["sure"].any()
