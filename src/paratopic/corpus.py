"""The paragraph table: its columns, reading and writing it, and the labels that join it.

It holds every paragraph, labelled or not. How text becomes paragraphs is `articles`' matter, which
fold a paragraph falls into `splits`'.
"""

from __future__ import annotations

import difflib
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from paratopic.articles import Paragraph, paragraph_id
from paratopic.errors import UserError
from paratopic.files import aside
from paratopic.labels import Label, by_paragraph, resolve
from paratopic.topics import SEPARATOR, Mode, Topics

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("article", pa.string()),  # paragraphs of one article never straddle folds
        ("heading", pa.string()),
        ("position", pa.int64()),
        ("text", pa.string()),
        ("topics", pa.list_(pa.string())),  # null: not labelled; empty: none of the topics
        ("label_source", pa.string()),  # hand, heading or none
    ]
)
READERS = {".csv": "csv", ".jsonl": "json", ".parquet": "parquet"}


def first_words(text: str, width: int = 60) -> str:
    """What stands in labels.csv for people to read: at most `width` characters, whole words."""
    if len(text) <= width:
        return text
    return text[:width].rpartition(" ")[0] or text[:width]


def frame_of(paragraphs: Iterable[Paragraph]) -> pd.DataFrame:
    """Unlabelled rows of the paragraph table."""
    rows = [
        {
            "id": p.id,
            "article": p.article,
            "heading": p.heading,
            "position": p.position,
            "text": p.text,
            "topics": None,
            "label_source": "none",
        }
        for p in paragraphs
    ]
    return pd.DataFrame(rows, columns=SCHEMA.names)


def read_labelled_table(path: Path, topics: Topics, no_topic: Sequence[str]) -> pd.DataFrame:
    """Read a labelled table from elsewhere: columns text, label and, optionally, group.

    Rows of one group become one article; without the column each row is an article of its own. A
    label is a topic, or several as in labels.csv, the dominant one first. An empty one leaves the
    row unlabelled; one in `no_topic` means none of the topics.

    Raises
    ------
    UserError
        The file cannot be read, a column is missing, a text is empty or a label is unknown.
    """
    table = _load(path)
    groups = table.get("group", [None] * len(table["text"]))
    seen: Counter[str] = Counter()
    rows = []
    for number, (text, label, group) in enumerate(
        zip(table["text"], table["label"], groups, strict=True)
    ):
        where = f"{path}, row {number + 1}"
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{where}: the text is empty; remove the row")
        name = "" if label is None else str(label).strip()
        if name in no_topic:
            labels: tuple[str, ...] | None = ()
        elif not name:
            labels = None
        else:
            labels = topics.parse(name, where)
        key = paragraph_id(path.stem, text)
        seen[key] += 1
        identity = key if seen[key] == 1 else f"{key}-{seen[key]}"
        rows.append(
            {
                "id": identity,
                "article": identity if group is None else f"{path.stem}/{group}",
                "heading": "",
                "position": number,
                "text": text,
                "topics": None if labels is None else list(labels),
                "label_source": "none" if labels is None else "hand",
            }
        )
    return pd.DataFrame(rows, columns=SCHEMA.names)


def _load(path: Path) -> dict[str, list[object]]:
    # Loaded here: only tables from elsewhere need it, and it takes seconds.
    import datasets

    datasets.disable_progress_bars()
    try:
        # Its cache is a folder of our own: nothing of the table stays behind on the machine.
        with tempfile.TemporaryDirectory() as cache:
            table = datasets.load_dataset(
                READERS[path.suffix.lower()],
                data_files=str(path),
                split="train",
                cache_dir=cache,
                keep_in_memory=True,
            )
    except Exception as error:  # datasets raises whatever its readers raise
        cause = error.__cause__ or error
        raise UserError(f"{path} cannot be read as {path.suffix[1:]}: {cause}") from None
    for column in ("text", "label"):
        if column not in table.column_names:
            raise UserError(
                f'{path}: there is no column "{column}"; a labelled table has text, label and, '
                f"optionally, group (this one has {', '.join(table.column_names)})"
            )
    wanted = [c for c in ("text", "label", "group") if c in table.column_names]
    columns: dict[str, list[object]] = table.select_columns(wanted).to_dict()
    kind = table.features["label"]
    if isinstance(kind, datasets.ClassLabel):
        columns["label"] = [None if n is None else kind.names[n] for n in columns["label"]]
    return columns


def join_labels(
    frame: pd.DataFrame, labels: Sequence[Label], topics: Topics
) -> tuple[pd.DataFrame, list[str]]:
    """Give paragraphs their hand labels, and the others of an unlabelled article its headings'.

    Parameters
    ----------
    frame
        Paragraph table.
    labels
        From `labels.read_labels`: every annotator's answers. Which of several answers on one
        paragraph counts is told by `labels.resolve`.
    topics
        The codebook, whose `heading` patterns give the weak labels.

    Returns
    -------
    The table with `topics` and `label_source` filled in, and messages for people.

    Raises
    ------
    UserError
        A label's paragraph no longer exists, or its topic is unknown.
    """
    frame = frame.copy()
    by_id: dict[str, tuple[str, ...]] = {}
    known = set(frame["id"])
    articles = set(frame["article"])
    lost, elsewhere = [], []
    disputed: dict[str, list[str]] = {}
    for paragraph, answers in by_paragraph(labels).items():
        if paragraph in known:
            for answer in answers:
                topics.parse(answer.cell, answer.where)
            winner, why = resolve(answers, topics)
            by_id[paragraph] = winner.names
            disputed.setdefault(why, []).append(paragraph)
    for label in labels:
        if label.paragraph in known:
            continue
        article = label.paragraph.rpartition(":")[0]
        if article in articles:
            near = _nearest(label, frame[frame["article"] == article])
        else:
            # The article is not among the sources, unless its file has another name now.
            moved = frame[frame["text"].str.startswith(label.text)] if label.text else frame[:0]
            if moved.empty:
                elsewhere.append(article)
                continue
            near = moved.iloc[0]
        hint = "" if near is None else f'; nearest now: {near["id"]} "{first_words(near["text"])}"'
        lost.append(
            f'{label.where}: {label.paragraph} "{label.text}" is no paragraph any more{hint}'
        )
    if lost:
        raise UserError("\n".join([*lost, "Give these lines the new id, or remove them."]))

    hand = {article for article, ids in frame.groupby("article")["id"] if ids.isin(by_id).any()}
    found, origin = list(frame["topics"]), list(frame["label_source"])
    for row, (identity, article, heading) in enumerate(
        zip(frame["id"], frame["article"], frame["heading"], strict=True)
    ):
        if identity in by_id:
            found[row], origin[row] = list(by_id[identity]), "hand"
        elif origin[row] == "none" and article not in hand:
            weak = topics.of_heading(heading)
            if weak is not None:
                found[row], origin[row] = [weak], "heading"
    frame["topics"] = pd.Series(found, index=frame.index, dtype=object)
    frame["label_source"] = origin
    messages = [
        f"{count} labels left aside: their article {article} is not among the sources"
        for article, count in sorted(Counter(elsewhere).items())
    ]
    if disputed.get("majority"):
        messages.append(f"{len(disputed['majority'])} disputed paragraphs: most annotators' answer")
    if disputed.get("tie"):
        first = topics.mode == "single"
        given = "the answer that is first in the codebook" if first else "what half of people name"
        messages.append(
            f"{len(disputed['tie'])} disputed paragraphs without a majority get {given}; another "
            f"judgement settles {', '.join(disputed['tie'])}"
        )
    return frame, messages


def _nearest(label: Label, frame: pd.DataFrame) -> pd.Series | None:
    if not label.text:
        return None
    likeness = [
        difflib.SequenceMatcher(None, label.text, text[: len(label.text)]).ratio()
        for text in frame["text"]
    ]
    return frame.iloc[max(range(len(likeness)), key=likeness.__getitem__)]


def labelled(frame: pd.DataFrame, mode: Mode) -> pd.DataFrame:
    """Rows with a label, sorted by id, with a column `topic`: what of it counts, '' for none.

    In mode single that is the dominant topic, in mode multi all of them, as labels.csv has them.
    """
    rows = frame[frame["label_source"] != "none"].sort_values("id", ignore_index=True)
    most = 1 if mode == "single" else None
    cells = [SEPARATOR.join(topics[:most]) for topics in rows["topics"]]
    return rows.assign(topic=pd.Series(cells, rows.index, dtype=object))


def targets(rows: pd.DataFrame, names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which topics labelled rows have, (n, k), from their column `topic`."""
    has = rows["topic"].str.get_dummies(SEPARATOR).reindex(columns=list(names), fill_value=0)
    return has.to_numpy(dtype=bool)


def counted(rows: pd.DataFrame) -> pd.Series:
    """Which of the labelled rows figures are about: hand labels, headings' where there are none."""
    source = "hand" if (rows["label_source"] == "hand").any() else "heading"
    return rows["label_source"] == source


def write_paragraphs(frame: pd.DataFrame, path: Path) -> None:
    """Write the paragraph table as parquet."""
    with aside(path) as draft:
        pq.write_table(pa.Table.from_pandas(frame, SCHEMA, preserve_index=False), draft)


def read_paragraphs(path: Path) -> pd.DataFrame:
    """Read the paragraph table."""
    return pd.DataFrame(pq.read_table(path, schema=SCHEMA).to_pylist(), columns=SCHEMA.names)
