"""A trained model as MLflow loads and serves it: a column of texts in, a row of answers each out.

MLflow imports this module by name and gives it the model's folder, so that nothing is pickled. The
answers are `classifier`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from paratopic.inference.loading import load
from paratopic.inference.model import Model, topic_cell

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

# Column of the texts.
TEXT = "text"


class ServedModel:
    """What `mlflow.pyfunc.load_model` returns, inside of MLflow's own wrapper."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Topic, confidence and a score a topic, one row a text.

        In mode multi the first column is topics: all that are named, separated by ";".

        Parameters
        ----------
        model_input
            A DataFrame with a column ``text``, or a single one without a name; a Series without a
            name or named ``text``; a list or an array of str.
        params
            Has to be empty.

        Raises
        ------
        MlflowException
            A text is missing, or is no str: the server answers 400.
        """
        from mlflow.exceptions import MlflowException

        try:
            texts = _texts(model_input)
            answers = self._model.predict(texts)
        except (TypeError, ValueError) as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        table = pd.DataFrame([answer.scores for answer in answers], columns=self._model.classes_)
        table = table.add_prefix("score_")
        table.insert(0, "confidence", [answer.confidence for answer in answers])
        # None where no topic is named, not NaN.
        told = pd.Series([topic_cell(self._model, answer) for answer in answers], dtype=object)
        table.insert(0, columns(self._model)[0], told)
        return table


def columns(model: Model) -> list[str]:
    """Names of the answers' columns."""
    first = "topic" if model.mode == "single" else "topics"
    return [first, "confidence", *(f"score_{topic}" for topic in model.classes_)]


def signature(model: Model) -> ModelSignature:
    """What goes in and what comes out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    first, *others = columns(model)
    answers = [ColSpec(DataType.double, name) for name in others]
    answers.insert(0, ColSpec(DataType.string, first, required=False))
    # The column of texts has no name here, so that lists and arrays are taken too.
    return ModelSignature(Schema([ColSpec(DataType.string)]), Schema(answers))


def _texts(model_input: Any) -> list[str]:
    if not isinstance(model_input, pd.DataFrame):
        return np.asarray(model_input, dtype=object).reshape(-1).tolist()
    if TEXT in model_input:
        return list(model_input[TEXT])
    # Of several columns MLflow passes on the first: it may be another one than that of the texts.
    name: object = model_input.columns[0]
    if name != 0:
        raise ValueError(f"the column of texts has to be named {TEXT}, or have no name; not {name}")
    return list(model_input.iloc[:, 0])


def _load_pyfunc(path: str) -> ServedModel:
    """Called by MLflow."""
    return ServedModel(load(path))
