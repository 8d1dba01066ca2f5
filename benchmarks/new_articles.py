"""What one article teaches about others: the project's labels and codebook on foreign texts.

Trains on the project's labelled paragraphs (data/paragraphs.parquet) and on the codebook, on either
and on both, and answers the rows of a labelled table whose classes are topics of the codebook. Only
these topics are told apart: of their scores the best counts. Texts with a topic, of any label, are
told from those of a label that means none of the topics. Nothing is tuned here.

    python benchmarks/new_articles.py --data TABLE.parquet OTHER.parquet
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from record import made_with
from sklearn.metrics import f1_score, roc_auc_score
from tables import RESULTS, Table, read

from paratopic.baseline import fit as baseline
from paratopic.corpus.labelled import labelled_rows, read_labelled_paragraphs
from paratopic.corpus.table import targets_of, with_passages
from paratopic.project.files import write_json
from paratopic.project.params import Params, read_params
from paratopic.project.topics import Topics
from paratopic.training.examples import Examples, Fitted
from paratopic.transformer import fit as transformer

PARAGRAPHS = Path("data/paragraphs.parquet")
MODELS = ("tfidf", "frozen", "fine-tuned")
MOST_NONE = 2500
KNOWLEDGE = ("labels", "descriptions", "labels and descriptions")


def known(params: Params, knowledge: str) -> tuple[Examples, Topics]:
    """Examples and codebook with what is to be known, and without what is not."""
    frame = read_labelled_paragraphs()
    rows = with_passages(labelled_rows(frame, params.topics), frame)
    if knowledge == "descriptions":
        rows = rows[:0]
    articles = pd.factorize(rows["article"])[0].astype(np.int64)
    labels = targets_of(rows["topic"], params.topics.names)
    examples = Examples(list(rows["passage"]), labels, np.arange(len(rows)), articles)
    bare = Topics(params.topics.mode, params.topics.names)
    return examples, bare if knowledge == "labels" else params.topics


def fitted(model: str, knowledge: str, params: Params) -> Fitted:
    """One model with one kind of knowledge."""
    examples, topics = known(params, knowledge)
    if model == "tfidf":
        return baseline.fit(examples, topics, params.section("baseline"), params.seed)
    section = params.section("transformer")
    if model == "frozen":
        section = replace(section, epochs=0)
    return transformer.fit(examples, topics, section, params.seed)


def told_apart(model: Fitted, table: Table, none: str) -> float:
    """AUROC of having a topic: at most `MOST_NONE` rows labelled `none` against all others."""
    other = table.rows[table.rows["label"] == none]
    other = other.sample(min(MOST_NONE, len(other)), random_state=0)
    topical = table.rows[table.rows["label"] != none]
    texts = [*topical["text"], *other["text"]]
    truth = [True] * len(topical) + [False] * len(other)
    return round(float(roc_auc_score(truth, model.predict_proba(texts).sum(axis=1))), 4)


def main() -> None:
    """Print a markdown table and write it as JSON and a picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files with text, label")
    parser.add_argument("--none", default="other", help="label that means none of the topics")
    arguments = parser.parse_args()
    params = read_params()
    tables = [read(pattern) for pattern in arguments.data]
    lines = []
    for knowledge in KNOWLEDGE:
        for model in MODELS:
            started = time.perf_counter()
            trained = fitted(model, knowledge, params)
            seconds = time.perf_counter() - started
            line: dict[str, object] = {"knowledge": knowledge, "model": model}
            for table in tables:
                names = [name for name in params.topics.names if name in table.labels]
                rows = table.rows[table.rows["label"].isin(names)]
                columns = [params.topics.names.index(name) for name in names]
                scores = trained.predict_proba(list(rows["text"]))[:, columns]
                said = np.array(names)[scores.argmax(axis=1)]
                f1 = f1_score(rows["label"], said, average="macro")
                line[table.name] = round(float(f1), 4)
                line[f"{table.name} rows"] = len(rows)
                line[f"{table.name} auroc"] = told_apart(trained, table, arguments.none)
            lines.append(line | {"seconds": round(seconds, 2)})
            print(*(f"{name}={value}" for name, value in lines[-1].items()), flush=True)
    found = pd.DataFrame(lines)
    print("| data | known | " + " | ".join(MODELS) + " |\n|---|---|" + "---|" * len(MODELS))
    for table in tables:
        for knowledge in KNOWLEDGE:
            part = found[found["knowledge"] == knowledge]
            cells = [f"{value:.3f}" for value in part[table.name]]
            print(f"| {table.name} | {knowledge} | " + " | ".join(cells) + " |")
    versions = made_with(__file__, "scikit-learn", "sentence-transformers", "torch", "transformers")
    write_json(RESULTS / "new_articles.json", versions | {"runs": lines})

    figure, axes = plt.subplots(
        1, len(tables), figsize=(4.5 * len(tables), 3.4), sharey=True, squeeze=False
    )
    for axis, table in zip(axes[0], tables, strict=True):
        for number, knowledge in enumerate(KNOWLEDGE):
            part = found[found["knowledge"] == knowledge]
            place = np.arange(len(MODELS)) + 0.27 * (number - 1)
            bars = axis.bar(place, part[table.name], width=0.25, label=knowledge)
            axis.bar_label(bars, fmt="%.2f", fontsize=7)
        axis.set_xticks(range(len(MODELS)), MODELS)
        axis.set(title=table.name, ylim=(0, 1.05))
    axes[0][0].set_ylabel("macro-F1")
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(RESULTS / "new_articles.png", dpi=120)


if __name__ == "__main__":
    main()
