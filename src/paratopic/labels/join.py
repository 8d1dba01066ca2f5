"""Join hand labels to the paragraph table. Weak answers are for `weak`.

Where a paragraph has several answers, `answers` decides which counts.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from paratopic.corpus.table import WEAK
from paratopic.labels.answers import (
    CurrentAnswers,
    Reason,
    by_paragraph,
    label_in_a_tie,
    resolve,
)
from paratopic.labels.log import Label, first_words
from paratopic.project.errors import UserError
from paratopic.project.plurals import plural
from paratopic.project.topics import TieRule, Topics


def join_labels(
    frame: pd.DataFrame, current: CurrentAnswers, topics: Topics, ties: TieRule
) -> tuple[pd.DataFrame, list[str]]:
    """Give paragraphs their hand labels, which take the place of those that a table gives.

    Parameters
    ----------
    ties
        What becomes of paragraphs on which annotators are divided.

    Returns
    -------
    The table with `topics`, `label_source` and `retired` filled in, and messages for people.

    Raises
    ------
    UserError
        The paragraph of a label no longer exists, or its topic is unknown.
    """
    known, labels = set(frame["id"]), current.answers
    joined = [label for label in labels if label.paragraph in known]
    names, disputed = _resolve_all(joined, topics, ties)
    absent = _absent_articles([label for label in labels if label.paragraph not in known], frame)
    return _with_labels(frame, names, current.retired), _messages(absent, disputed, topics, ties)


def in_todays_names(frame: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    """The paragraph table as it reads if the codebook has changed since stage prepare."""
    meanings = [topics.today(n if isinstance(n, list) else ()) for n in frame["topics"]]
    is_open = np.array([bool(meaning.retired) for meaning in meanings], dtype=bool)
    labels = [
        list(meaning.names) if isinstance(n, list) and not meaning.retired else None
        for meaning, n in zip(meanings, frame["topics"], strict=True)
    ]
    frame = frame.assign(
        topics=pd.Series(labels, frame.index, dtype=object),
        label_source=frame["label_source"].mask(is_open, "none"),
        retired=frame["retired"].mask(is_open, [meaning.retired for meaning in meanings]),
    )
    if WEAK.name not in frame:
        return frame
    weak = [
        [
            answer | {"topics": list(meaning.names)}
            for answer in answers or ()
            if not (meaning := topics.today(answer["topics"])).retired
        ]
        for answers in frame[WEAK.name]
    ]
    return frame.assign(**{WEAK.name: pd.Series(weak, frame.index, dtype=object)})


def _resolve_all(
    labels: Iterable[Label], topics: Topics, ties: TieRule
) -> tuple[dict[str, tuple[str, ...] | None], dict[Reason, list[str]]]:
    """Paragraph id → its topics, None where a tie leaves it out; how chosen → paragraph ids."""
    names: dict[str, tuple[str, ...] | None] = {}
    paragraphs: dict[Reason, list[str]] = {}
    for paragraph, answers in by_paragraph(labels).items():
        for answer in answers:
            _check(answer, topics)
        chosen, reason = resolve(answers, topics)
        names[paragraph] = None if (reason, ties) == ("tie", "leave_out") else chosen
        paragraphs.setdefault(reason, []).append(paragraph)
    return names, paragraphs


def _check(answer: Label, topics: Topics) -> None:
    try:
        topics.check(answer.names, answer.where)
    except UserError as error:
        raise UserError(
            f"{error}. If the topic was renamed or removed in params.yaml, say so there: put its "
            "old name into `was` of a topic, or into `retired`, as `paratopic codebook` does."
        ) from None


def _absent_articles(labels: Sequence[Label], frame: pd.DataFrame) -> Counter[str]:
    """Count the labels without a paragraph by article, where the article is not a source either.

    Raises
    ------
    UserError
        The article of a label is among the sources, so its paragraph must have changed; or another
        article has a paragraph with its first words, so the article must have been renamed.
    """
    articles = set(frame["article"])
    # On one line, as `first_words` writes them.
    texts = frame["text"].str.split().str.join(" ") if labels else frame["text"]
    absent: Counter[str] = Counter()
    lost = []
    for label in labels:
        article = label.paragraph.rpartition(":")[0]
        if article in articles:
            nearest = _most_alike(label.text, frame[frame["article"] == article])
        else:
            same = frame[texts.str.startswith(" ".join(label.text.split()))]
            if same.empty or not label.text:
                absent[article] += 1
                continue
            nearest = same.iloc[0]
        lost.append(_lost(label, nearest))
    if lost:
        raise UserError("\n".join([*lost, "Give these lines the new id, or remove them."]))
    return absent


def _with_labels(
    frame: pd.DataFrame, names: Mapping[str, tuple[str, ...] | None], retired: Mapping[str, str]
) -> pd.DataFrame:
    """The table with hand labels (paragraph id → topics), and why others are to be given again."""
    labels, sources, reasons = (list(frame[key]) for key in ("topics", "label_source", "retired"))
    for row, paragraph in enumerate(frame["id"]):
        if paragraph in retired:
            labels[row], sources[row], reasons[row] = None, "none", retired[paragraph]
        elif paragraph in names:
            reasons[row] = ""
            if (own := names[paragraph]) is not None:
                labels[row], sources[row] = list(own), "hand"
    column = pd.Series(labels, index=frame.index, dtype=object)
    return frame.assign(topics=column, label_source=sources, retired=reasons)


def _messages(
    absent: Mapping[str, int],
    disputed: Mapping[Reason, Sequence[str]],
    topics: Topics,
    ties: TieRule,
) -> list[str]:
    messages = [
        f"article {article} is not among the sources ({plural(count, 'label')} ignored)"
        for article, count in sorted(absent.items())
    ]
    if majority := disputed.get("majority"):
        disputed_ones = plural(len(majority), "disputed paragraph gets", "disputed paragraphs get")
        messages.append(f"{disputed_ones} the answer of most annotators")
    if tied := disputed.get("tie"):
        how = label_in_a_tie(ties, topics.mode)
        messages.append(
            f"{plural(len(tied), 'tie')} between annotators, {how} (prepare.ties: {ties}). "
            "Another answer settles a tie; `paratopic review` lists all ties."
        )
    return messages


def _lost(label: Label, nearest: pd.Series | None) -> str:
    message = f'{label.where}: {label.paragraph} "{label.text}" is no longer a paragraph'
    if nearest is None:
        return message
    return f'{message}; most similar now: {nearest["id"]} "{first_words(nearest["text"])}"'


def _most_alike(words: str, frame: pd.DataFrame) -> pd.Series | None:
    """The paragraph whose beginning is most like the first words of a label; None without words."""
    if not words:
        return None
    beginnings = [text[: len(words)] for text in frame["text"]]
    (nearest,) = difflib.get_close_matches(words, beginnings, n=1, cutoff=0)
    return frame.iloc[beginnings.index(nearest)]
