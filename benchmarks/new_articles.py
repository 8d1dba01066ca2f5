"""What one article teaches about others: the project's labels and codebook on foreign texts.

Trains on the project's labelled paragraphs (data/paragraphs.parquet) and on the codebook, on either
and on both, and answers the rows of a labelled table whose classes are topics of the codebook. Only
these topics are told apart: of their scores the best counts. Texts with a topic, of any label, are
told from those of a label that means none of the topics. Nothing is tuned here.

    python benchmarks/new_articles.py --data TABLE.parquet OTHER.parquet
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from record import parser_of, rows_of, save
from sklearn.metrics import f1_score, roc_auc_score
from tables import Table, markdown, read

from paratopic.baseline import fit as baseline
from paratopic.corpus.labelled import labelled_rows, read_labelled_paragraphs
from paratopic.corpus.table import targets_of, texts_of
from paratopic.project.files import Paths
from paratopic.project.folder import Project
from paratopic.project.params import Params
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.training.examples import Examples, Fitted
from paratopic.transformer import fit as transformer

PARAGRAPHS = Path("data/paragraphs.parquet")
MODELS = ("tfidf", "frozen", "fine-tuned")
MOST_NONE = 2500
KEY = ["data", "knowledge", "model"]
KNOWLEDGE = ("labels", "descriptions", "labels and descriptions")


def known(params: Params, knowledge: str) -> tuple[Examples, Topics]:
    """Examples and codebook with what is to be known, and without what is not."""
    frame = read_labelled_paragraphs(Paths())
    rows = labelled_rows(frame, params.topics)
    if knowledge == "descriptions":
        rows = rows[:0]
    articles = pd.factorize(rows["article"])[0].astype(np.int64)
    labels = targets_of(rows["topic"], params.topics.names)
    examples = Examples(
        numbered(texts_of(frame, rows["id"])), labels, np.arange(len(rows)), articles
    )
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
    return float(roc_auc_score(truth, model.predict_proba(numbered(texts)).sum(axis=1)))


def figures_of(trained: Fitted, table: Table, none: str, topics: Topics) -> dict[str, Any]:
    """Macro-F1 on the table's rows with a topic, and AUROC of having one."""
    names = [name for name in topics.names if name in table.labels]
    rows = table.rows[table.rows["label"].isin(names)]
    columns = [topics.names.index(name) for name in names]
    scores = trained.predict_proba(numbered(rows["text"]))[:, columns]
    said = np.array(names)[scores.argmax(axis=1)]
    f1 = float(f1_score(rows["label"], said, average="macro"))
    return {"rows": len(rows), "macro_f1": f1, "auroc": told_apart(trained, table, none)}


def main() -> None:
    """Print a table; write it and a picture."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files with text, label")
    parser.add_argument("--none", default="other", help="label that means none of the topics")
    arguments = parser.parse_args()
    params = Project().params
    tables = [read(pattern) for pattern in arguments.data]
    lines: list[dict[str, Any]] = []
    for knowledge in KNOWLEDGE:
        for model in MODELS:
            started = time.perf_counter()
            trained = fitted(model, knowledge, params)
            seconds = time.perf_counter() - started
            for table in tables:
                about = dict(zip(KEY, (table.name, knowledge, model), strict=True))
                line = about | figures_of(trained, table, arguments.none, params.topics)
                lines.append(line | {"seconds": seconds})
                print(*(f"{name}={value}" for name, value in lines[-1].items()), flush=True)
    save(arguments.results, lines, KEY, __file__)
    found = pd.DataFrame(lines).pivot(index=KEY[:2], columns="model", values="macro_f1")
    found = found.loc[[(table.name, known) for table in tables for known in KNOWLEDGE]]
    print(markdown(rows_of(found[[*MODELS]].round(3).reset_index())))
    picture(found, [table.name for table in tables], arguments.results.with_suffix(".png"))


def picture(found: pd.DataFrame, names: list[str], path: Path) -> None:
    """Macro-F1 by model and knowledge, a panel for each table."""
    figure, axes = plt.subplots(
        1, len(names), figsize=(4.5 * len(names), 3.4), sharey=True, squeeze=False
    )
    for axis, name in zip(axes[0], names, strict=True):
        for number, knowledge in enumerate(KNOWLEDGE):
            place = np.arange(len(MODELS)) + 0.27 * (number - 1)
            values = found.loc[(name, knowledge), [*MODELS]]
            bars = axis.bar(place, values, width=0.25, label=knowledge)
            axis.bar_label(bars, fmt="%.2f", fontsize=7)
        axis.set_xticks(range(len(MODELS)), MODELS)
        axis.set(title=name, ylim=(0, 1.05))
    axes[0][0].set_ylabel("macro-F1")
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
