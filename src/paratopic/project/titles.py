"""What metrics are called where people read them."""

from __future__ import annotations

TITLES = {
    "answer_macro_f1": "macro-F1 of answers",
    "answer_accuracy": "accuracy of answers",
    "coverage": "coverage",
    "precision": "precision",
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "map": "mean average precision",
    "accuracy": "accuracy",
    "subset_accuracy": "subset accuracy",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "expected calibration error",
}
