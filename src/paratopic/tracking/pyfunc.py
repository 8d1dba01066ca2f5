"""A trained model as MLflow loads and serves it: one row of output for each text of a column.

MLflow imports this module by name and passes it the model's folder, so that nothing is pickled. The
predictions come from `inference`; only their form is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from paratopic.inference.folder import CARD
from paratopic.inference.model import Model, load
from paratopic.project.passages import Passage, section_heading
from paratopic.project.sources import BESIDE
from paratopic.project.texts import Text

if TYPE_CHECKING:
    import mlflow.models

# Name of the column of texts.
TEXT = "text"

# What a model is called with, as MLflow shows it.
EXAMPLE = ["The ministry raised tariffs on imported steel."]


@dataclass(frozen=True)
class ServedModel:
    """The model inside the wrapper that `mlflow.pyfunc.load_model` returns."""

    model: Model

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Predict the topics of texts.

        Parameters
        ----------
        model_input
            A DataFrame with a column ``text``, or with a single column that has no name; a Series
            without a name or named ``text``; a list or an array of str.
        params
            What stands around the texts: `BESIDE` → a list of as many str, "" or None for nothing.
            MLflow passes on no column beside that of the texts.

        Returns
        -------
        One row per text: topic, confidence, sure, and ``score_TOPIC`` for each topic. In mode multi
        the first column is topics: all predicted topics, separated by ";".

        Raises
        ------
        MlflowException
            A text is missing or not a str, or there are not as many of what stands around them; the
            server then answers 400.
        """
        from mlflow.exceptions import MlflowException

        try:
            texts = _with_context(_texts(model_input), params or {})
            answers = self.model.predict(texts)
        except (TypeError, ValueError) as error:
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
    """Types of the input, of the output's columns, and of what stands around the texts."""
    from mlflow.models import infer_signature

    output = ServedModel(model).predict(EXAMPLE * 2)
    output.isetitem(0, [model.classes_[0], None])  # a text may have no topic
    # The column of texts has no name here, so that lists and arrays are accepted too. Beside such a
    # column no other can be optional: what stands around the texts comes as parameters.
    return infer_signature(EXAMPLE, output, dict.fromkeys(BESIDE, [""]))


def _with_context(texts: list[str], params: Mapping[str, Sequence[str | None]]) -> list[Text]:
    """The texts with what the parameters say of them; the texts alone if these say nothing."""
    given = {name: list(params[name]) for name in BESIDE if any(params.get(name, ()))}
    for name, values in given.items():
        if len(values) != len(texts):
            raise ValueError(f"{name} has {len(values)} items for {len(texts)} texts")
    if not given:
        return list(texts)
    nothing = [""] * len(texts)
    parts = ([part or "" for part in given.get(name, nothing)] for name in BESIDE)
    return [
        Passage(text, before, after, section_heading(heading, title), title)
        for text, before, after, heading, title in zip(texts, *parts, strict=True)
    ]


def _texts(model_input: Any) -> list[str]:
    if not isinstance(model_input, pd.DataFrame):
        return np.asarray(model_input, dtype=object).reshape(-1).tolist()
    # MLflow passes on the first of several columns, which may not be that of the texts.
    name: object = TEXT if TEXT in model_input else model_input.columns[0]
    if name not in (TEXT, 0):
        raise ValueError(f"the column of texts has to be named {TEXT}, or have no name; not {name}")
    # The server makes an array without dimensions of each text of {"inputs": [{"text": ...}]}.
    return [
        text.item() if isinstance(text, np.ndarray) and not text.ndim else text
        for text in model_input[name]
    ]


def _load_pyfunc(path: str) -> ServedModel:
    """Called by MLflow."""
    return ServedModel(load(path))
