"""Paragraph topics from few labels.

`predict` and `load` answer with a trained model; everything else is a pipeline that `dvc repro`
runs. Importing this package loads none of its heavy dependencies.
"""

from paratopic.inference.explanation import Explanation, Share
from paratopic.inference.loading import load, predict
from paratopic.inference.model import Model
from paratopic.inference.prediction import Prediction
from paratopic.project.errors import UserError

__all__ = ["Explanation", "Model", "Prediction", "Share", "UserError", "load", "predict"]
__version__ = "0.1.0"
