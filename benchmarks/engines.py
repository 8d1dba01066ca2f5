"""Ways to predict with the same weights, for `predict.py`, which runs each in a process of its own.

python benchmarks/engines.py ENGINE MODELS             the first answer; prints KiB of memory
python benchmarks/engines.py ENGINE MODELS ROWS.json   answers and rates, as JSON
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Predict = Callable[[Sequence[str]], list[int]]

SIZES = (1, 8, 32)
REPEATS = 5
# Texts that are answered one by one, or eight at a time.
FEW = 100


def paratopic(folder: Path) -> Predict:
    """The project."""
    from paratopic.inference.model import load

    model = load(folder)
    return lambda texts: [int(n) for n in model.predict_proba(list(texts)).argmax(axis=1)]


def head(folder: Path) -> Any:
    """The model's head as a logistic regression of scikit-learn."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    weights = np.load(folder / "head.npz")
    made = LogisticRegression()
    made.coef_, made.intercept_ = weights["coef"], weights["intercept"]
    made.classes_ = np.arange(len(made.coef_))
    return made


def setfit(folder: Path) -> Predict:
    """SetFit."""
    from sentence_transformers import SentenceTransformer
    from setfit import SetFitModel

    model: Any = SetFitModel(SentenceTransformer(str(folder), device="cpu"), head(folder))
    model.normalize_embeddings = True
    return lambda texts: [
        int(n) for n in model.predict(list(texts), use_labels=False, show_progress_bar=False)
    ]


def sentence_transformers(folder: Path) -> Predict:
    """`encode` of sentence-transformers, then the head."""
    from sentence_transformers import SentenceTransformer

    encoder, classify = SentenceTransformer(str(folder), device="cpu"), head(folder)
    return lambda texts: [
        int(n)
        for n in classify.predict(
            encoder.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        )
    ]


def transformers(folder: Path) -> Predict:
    """A pipeline of transformers, then the head.

    It is that for features: none for classification opens a head on the mean of embeddings.
    """
    import numpy as np
    from transformers import pipeline

    pipe: Any = pipeline("feature-extraction", str(folder), device="cpu")
    classify = head(folder)
    cut = {"truncation": True, "max_length": 256}

    def predict(texts: Sequence[str]) -> list[int]:
        means = [
            np.asarray(vectors[0]).mean(axis=0)
            for vectors in (pipe(text, tokenize_kwargs=cut) for text in texts)
        ]
        return [int(n) for n in classify.predict([m / np.linalg.norm(m) for m in means])]

    return predict


# Name → what opens it, and its folder among the models.
ENGINES: dict[str, tuple[Callable[[Path], Predict], str]] = {
    "paratopic": (paratopic, "shipped"),
    "paratopic, 32 bits": (paratopic, "full"),
    "paratopic, baseline": (paratopic, "baseline"),
    "SetFit": (setfit, "full"),
    "sentence-transformers": (sentence_transformers, "full"),
    "transformers": (transformers, "full"),
}


def main() -> None:
    """Answer once, or print answers and rates."""
    engine, models, *rows = sys.argv[1:]
    opened, folder = ENGINES[engine]
    predict = opened(Path(models) / folder)
    predict(["How old is the tariff on imported steel?"])
    if not rows:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
        return
    texts = json.loads(Path(rows[0]).read_text(encoding="utf-8"))
    told: dict[str, Any] = {"answers": predict(texts)}
    for size in (*SIZES, len(texts)):
        some = texts if size == len(texts) else texts[: max(FEW, size)]
        seconds = []
        for _ in range(REPEATS):
            begun = time.perf_counter()
            for start in range(0, len(some), size):
                predict(some[start : start + size])
            seconds.append(time.perf_counter() - begun)
        told["bulk" if size == len(texts) else str(size)] = len(some) / statistics.median(seconds)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
