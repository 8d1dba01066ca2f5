"""Hand labels, and weak labels from headings, joined to the paragraph table."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from paratopic.labels.answers import by_paragraph, resolve
from paratopic.labels.log import Label, first_words
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics


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
