"""A trained model in MLflow's format for serving and Spark: one row of output for each text.

MLflow imports this module by name and passes the model's folder to it, so that nothing is pickled.
This module converts predictions of `inference` to a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from paratopic.inference.manifest import CARD
from paratopic.inference.model import Model, load
from paratopic.project.passages import Passage, section_heading
from paratopic.project.source_settings import CONTEXT_COLUMNS

if TYPE_CHECKING:
    import mlflow.models

# Name of the column of texts.
TEXT = "text"

# MLflow shows this example of an input with each model.
EXAMPLE = pd.DataFrame({TEXT: ["The ministry raised tariffs on imported steel."]})


@dataclass(frozen=True)
class ServedModel:
    """Model inside the wrapper that `mlflow.pyfunc.load_model` returns."""

    model: Model

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """Predict the topics of texts.

        Parameters
        ----------
        model_input
            Column ``text``, and optionally the context of the texts, None or "" for none:
            ``text_preceding`` and ``text_following`` with a list or an array of the neighbours, in
            the order of the article, or a str for the nearest one; and ``heading`` and ``title``.
            Other columns are ignored.

        Returns
        -------
        One row per text with the columns topic (None for none), confidence, sure (bool), and
        ``score_TOPIC`` for each topic. In mode multi, topics replaces topic: the predicted topics,
        separated by ";", or "" for none. The index is new.

        Raises
        ------
        MlflowException
            A text is missing or no str, or its context has another type; the server then responds
            with status 400.
        """
        from mlflow.exceptions import MlflowException

        try:
            predictions = self.model.predict(_texts(model_input))
        except TypeError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        names = ["confidence", "sure", *(f"score_{topic}" for topic in self.model.classes_)]
        rows = [(row.confidence, row.sure, *row.scores.values()) for row in predictions]
        table = pd.DataFrame(rows, columns=names).astype({"sure": bool})
        cells = [self.model.mode.cell(row.topics) for row in predictions]
        # The column has type object, because a text without a topic would otherwise have NaN.
        table.insert(0, f"topic{self.model.mode.plural}", pd.Series(cells, dtype=object))
        return table


def save(folder: Path, place: Path, card: str, logged: mlflow.models.Model | None = None) -> None:
    """Save a model's folder in MLflow's format, with its signature and an example of an input.

    The new folder `place`, which must not exist, gets a copy of the model's `folder` with the text
    `card` as its README. The saved model gets the ids of the model `logged`, by default none.
    """
    import mlflow.pyfunc

    mlflow.pyfunc.save_model(
        place,
        loader_module=__name__,
        data_path=str(folder),
        mlflow_model=logged,
        signature=signature(load(folder)),
        input_example=EXAMPLE,
        pip_requirements=[f"paratopic=={version('paratopic')}"],
    )
    (place / "data" / folder.name / CARD).write_text(card, encoding="utf-8")


def signature(model: Model) -> mlflow.models.ModelSignature:
    """Signature with the types of input columns, of which `TEXT` is required, and of output."""
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    output = ServedModel(model).predict(pd.concat([EXAMPLE] * 2))
    output.isetitem(0, [model.classes_[0], None])  # a text may have no topic
    # MLflow has no type for a column of str and lists.
    types = AnyType(), AnyType(), "string", "string"
    context = [ColSpec(*spec, required=False) for spec in zip(types, CONTEXT_COLUMNS, strict=True)]
    inputs = Schema([ColSpec("string", TEXT), *context])
    return ModelSignature(inputs, infer_signature(model_output=output).outputs)


def _texts(table: pd.DataFrame) -> list[str] | list[Passage]:
    """Texts of the column `TEXT`; as passages if the table has any of `CONTEXT_COLUMNS`.

    A missing cell of the context is "". A TypeError reports a part of a passage that is no str;
    without context, texts are not checked.
    """
    texts: list[str] = table[TEXT].tolist()
    if not {*CONTEXT_COLUMNS} & {*table}:
        return texts
    empty = pd.Series([""] * len(texts))
    columns = [table.get(name, empty).astype(object).fillna("") for name in CONTEXT_COLUMNS]
    return [
        Passage(text, before, after, section_heading(heading, title), title)
        for text, before, after, heading, title in zip(texts, *columns, strict=True)
    ]


def _load_pyfunc(path: str) -> ServedModel:
    """Load a model's folder; MLflow calls this function by its name."""
    return ServedModel(load(path))
