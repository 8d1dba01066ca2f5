"""Do explanations say what a model used: a text without its strongest sentence, or a random one.

Trains both models on some labels of each class. From each text to test on that has several
sentences, it leaves out the one whose share in the logit of the predicted topic is largest, and one
that is drawn at random, and predicts again.

    python benchmarks/explanations.py --data BILLS.parquet --shots 32 --rows 300
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import parser_of, save
from tables import Table, draw, markdown, read

from paratopic.baseline import fit as baseline
from paratopic.inference.calibration import Calibration
from paratopic.inference.loading import load
from paratopic.inference.model import Model
from paratopic.inference.prediction import Explanation
from paratopic.inference.scores import one_hot
from paratopic.project.params import read_params
from paratopic.project.texts import numbered
from paratopic.project.topics import Topic, Topics
from paratopic.training.examples import Examples, silent
from paratopic.transformer import fit as transformer

# What is printed of each.
SHOWN = {
    "model": "{model}",
    "texts": "{n}",
    "lowered without the strongest": "{strongest_lowered:.1%}",
    "without a random one": "{random_lowered:.1%}",
    "mean drops": "{strongest_drop:.2f}, {random_drop:.2f}",
}


def train(kind: str, table: Table, rows: pd.DataFrame, folder: Path) -> Model:
    """Train a model of this kind on labelled rows, and open it."""
    params = read_params()
    numbers = pd.Categorical(rows["label"], table.labels).codes.astype(np.int64)
    group = pd.factorize(rows["group"])[0].astype(np.int64)
    targets = one_hot(numbers, len(table.labels))
    examples = Examples(numbered(rows["text"]), targets, group, group)
    topics = Topics("single", tuple(Topic(name) for name in table.labels))
    fitted: Any
    if kind == "baseline":
        fitted = baseline.fit(examples, topics, params.section("baseline"), params.seed, silent)
    else:
        fitted = transformer.fit(
            examples, topics, params.section("transformer"), params.seed, silent
        )
    fitted.save(folder / kind, Calibration())
    return load(folder / kind)


def drop(model: Model, text: str, why: Explanation, topic: str, sentence: int) -> float:
    """How far the logit of a topic falls without a sentence."""
    part = why.sentences[sentence]
    rest = f"{text[: part.start]}{text[part.end :]}".strip()
    return why.logits[topic] - model.explain(rest).logits[topic]


def measure(model: Model, texts: list[str], seed: int) -> dict[str, float]:
    """How often and how far logits fall without the strongest sentence, or a random one."""
    rng = np.random.default_rng(seed)
    drops = []
    for text in texts:
        why = model.explain(text)
        if len(why.sentences) < 2:
            continue
        topic = max(why.prediction.scores, key=why.prediction.scores.__getitem__)
        strongest = int(np.argmax([sentence.shares[topic] for sentence in why.sentences]))
        drawn = int(rng.integers(len(why.sentences)))
        drops.append([drop(model, text, why, topic, n) for n in (strongest, drawn)])
    falls = np.array(drops)
    lowered, mean = (falls > 0).mean(axis=0), falls.mean(axis=0)
    return {
        "n": len(falls),
        "strongest_lowered": float(lowered[0]),
        "random_lowered": float(lowered[1]),
        "strongest_drop": float(mean[0]),
        "random_drop": float(mean[1]),
    }


def main() -> None:
    """Print a table and write it."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", help="parquet file")
    parser.add_argument("--leave-out", nargs="*", default=[], help="labels to leave out")
    parser.add_argument("--shots", type=int, default=32)
    parser.add_argument("--rows", type=int, default=300, help="rows to test on, at most")
    arguments = parser.parse_args()

    table = read(arguments.data, arguments.leave_out)
    seed = read_params().seed
    drawn = draw(table, arguments.shots, seed, arguments.rows)
    texts = list(drawn.natural["text"].sample(frac=1, random_state=seed)[: arguments.rows])
    lines: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("baseline", "transformer"):
            figures = measure(train(kind, table, drawn.train, Path(folder)), texts, seed)
            lines.append({"data": table.name, "model": kind} | figures)
    save(arguments.results, lines, ["data", "model"], __file__)
    print(markdown(lines, SHOWN))


if __name__ == "__main__":
    main()
