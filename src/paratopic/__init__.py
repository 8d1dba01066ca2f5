"""Paragraph topics from few labels.

`predict` and `load` answer with a trained model; everything else is a pipeline that `dvc repro`
runs. Importing this package loads none of its heavy dependencies.
"""

from paratopic.inference.loading import load, predict
from paratopic.inference.model import Model, Prediction
from paratopic.project.errors import UserError

__all__ = ["Model", "Prediction", "UserError", "load", "predict"]
__version__ = "0.1.0"
