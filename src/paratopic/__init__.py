"""Paragraph topics from few labels.

`predict` and `load` answer with a trained model, `Project` has what was found; everything else is a
pipeline that `dvc repro` runs. What this package gives is imported when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paratopic.inference.model import Model, load, predict
    from paratopic.inference.prediction import Explanation, Prediction, Share
    from paratopic.project.errors import UserError
    from paratopic.project.passages import Passage
    from paratopic.results.arrays import evaluate, shares
    from paratopic.results.project import Project

__all__ = ["Explanation", "Model", "Passage", "Prediction", "Project", "Share", "UserError"]
__all__ += ["evaluate", "load", "predict", "shares"]
__version__ = "1.0.0"

_MODULES = {
    "Explanation": "inference.prediction",
    "Share": "inference.prediction",
    "evaluate": "results.arrays",
    "shares": "results.arrays",
    "load": "inference.model",
    "predict": "inference.model",
    "Model": "inference.model",
    "Passage": "project.passages",
    "Prediction": "inference.prediction",
    "Project": "results.project",
    "UserError": "project.errors",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        error.add_note(f"paratopic.{name} needs more packages: pip install 'paratopic[train]'")
        raise
