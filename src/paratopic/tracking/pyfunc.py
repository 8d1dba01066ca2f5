"""A trained model as MLflow loads and serves it, in Spark too: one row of output for each text.

MLflow imports this module by name and passes it the model's folder, so that nothing is pickled. The
predictions come from `inference`; only their form is decided here.
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

# What a model is called with, as MLflow shows it.
EXAMPLE = pd.DataFrame({TEXT: ["The ministry raised tariffs on imported steel."]})


@dataclass(frozen=True)
class ServedModel:
    """The model inside the wrapper that `mlflow.pyfunc.load_model` returns."""

    model: Model

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """Predict the topics of texts.

        Parameters
        ----------
        model_input
            Column ``text``, and what stands around the texts where it is known: the columns
            `CONTEXT_COLUMNS`, None or "" for nothing. ``text_preceding`` and ``text_following``
            have a list or an array of the neighbours, in the order of the article, or a str for the
            nearest one. Other columns are not read.

        Returns
        -------
        One row per text: topic, confidence, sure, and ``score_TOPIC`` for each topic. In mode multi
        the first column is topics: all predicted topics, separated by ";".

        Raises
        ------
        MlflowException
            A text is missing or not a str, or what stands around it is neither; the server then
            answers 400.
        """
        from mlflow.exceptions import MlflowException

        try:
            answers = self.model.predict(_texts(model_input))
        except TypeError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None
        names = ["confidence", "sure", *(f"score_{topic}" for topic in self.model.classes_)]
        rows = [(answer.confidence, answer.sure, *answer.scores.values()) for answer in answers]
        table = pd.DataFrame(rows, columns=names).astype({"sure": bool})
        cells = [self.model.mode.cell(answer.topics) for answer in answers]
        # Of type object, so that a text without a topic has None, not NaN.
        table.insert(0, f"topic{self.model.mode.plural}", pd.Series(cells, dtype=object))
        return table


def save(folder: Path, place: Path, card: str, logged: mlflow.models.Model | None = None) -> None:
    """Save a model's folder in MLflow's format, with its signature and an example of an input.

    Parameters
    ----------
    place
        Folder to write; it must not exist. The card is added to the model's own folder in it.
    logged
        The ids of the logged model that it becomes. None for a model of no store.
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
    """Types of the columns of input and output; all but the texts are optional."""
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    output = ServedModel(model).predict(pd.concat([EXAMPLE] * 2))
    output.isetitem(0, [model.classes_[0], None])  # a text may have no topic
    # MLflow has no type for a str or several.
    types = AnyType(), AnyType(), "string", "string"
    beside = [ColSpec(*spec, required=False) for spec in zip(types, CONTEXT_COLUMNS, strict=True)]
    inputs = Schema([ColSpec("string", TEXT), *beside])
    return ModelSignature(inputs, infer_signature(model_output=output).outputs)


def _texts(table: pd.DataFrame) -> list[str] | list[Passage]:
    """The texts of a table with what its columns tell of them."""
    texts: list[str] = table[TEXT].tolist()
    if not {*CONTEXT_COLUMNS} & {*table}:
        return texts
    nothing = pd.Series([""] * len(texts))
    columns = (table.get(name, nothing).astype(object).fillna("") for name in CONTEXT_COLUMNS)
    return [
        Passage(text, before, after, section_heading(heading, title), title)
        for text, before, after, heading, title in zip(texts, *columns, strict=True)
    ]


def _load_pyfunc(path: str) -> ServedModel:
    """Called by MLflow."""
    return ServedModel(load(path))
