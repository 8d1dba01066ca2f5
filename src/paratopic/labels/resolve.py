"""Decide which votes count: what people, tables and weak sources say → votes, labels, sample.

How several people's votes are settled is for `answers`, what weak sources teach for `weak`, and how
labels were drawn for `sample`.
"""

from __future__ import annotations

import difflib
import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from paratopic.corpus.labelled import BY_HAND, LABELS_SCHEMA, VOTES_SCHEMA, with_labels
from paratopic.corpus.table import TABLE, has_hand_label, texts_in, with_metadata
from paratopic.labels.answers import (
    CurrentAnswers,
    Reason,
    aggregate,
    by_paragraph,
    current,
    label_in_a_tie,
    of_people,
    read_answers,
)
from paratopic.labels.log import Label, first_words
from paratopic.labels.sample import weigh_sample
from paratopic.labels.weak import WeakSources, combine_votes, learn_sources
from paratopic.project.errors import UserError, in_short, plural
from paratopic.project.params import Params
from paratopic.project.passages import section_heading
from paratopic.project.source_settings import Source
from paratopic.project.topics import Meaning, Pattern, TieRule, Topics

# Names of the sources that are in the codebook.
HEADINGS, RULES = "headings", "rules"


class Resolved(NamedTuple):
    """What counts.

    Attributes
    ----------
    votes, labels, sample
        The tables of `corpus.labelled`.
    of_people
        The latest answer of each annotator on each paragraph.
    trusted
        How far each weak source is trusted.
    messages
        What there is to say, for people.
    """

    votes: pd.DataFrame
    labels: pd.DataFrame
    sample: pd.DataFrame
    of_people: list[Label]
    trusted: WeakSources
    messages: list[str]


def resolve(
    paragraphs: pd.DataFrame,
    of_tables: pd.DataFrame,
    lines: Sequence[Label],
    params: Params,
    metadata: pd.DataFrame,
) -> Resolved:
    """Turn what was answered into what counts.

    Parameters
    ----------
    of_tables
        Raw answers of labelled tables (`reading.tables.RAW`).
    lines
        All lines of labels.csv, in its order.
    metadata
        Columns id and those of what paragraphs are from.

    Raises
    ------
    UserError
        The paragraph of a label no longer exists, its topic is unknown, or a pattern of the
        codebook takes too long.
    """
    topics, settings = params.topics, params.labels
    by_people = of_people(lines, settings)
    of_sources = [line for line in lines if settings.is_weak(line.annotator)]
    current = read_answers(by_people, topics)
    votes, labels, messages = join_labels(
        paragraphs, of_tables, current, topics, params.prepare.ties
    )
    # A table's row that was drawn stays so if people label it again.
    drawn = dict(zip(of_tables["paragraph"], of_tables["draw"], strict=True))
    frame = with_labels(paragraphs, labels)
    frame = frame.assign(draw=[drawn.get(id_, "") for id_ in frame["id"]])
    rows = with_metadata(paragraphs, metadata)
    tables = [f"{TABLE}{Path(source).stem}" for source in of_tables["source"].unique()]
    members, lost = _members(rows, by_people, {*drawn.values()})
    members |= texts_in(rows, tables)
    sample = _sample(frame, by_people, members)
    judged = {answer.paragraph for answer in current.answers}
    weak = vote_rows(votes_of_weak_sources(frame, of_sources, topics, judged))
    trusted = learn_sources(frame, weak, topics, params.evaluate.confidence)
    weak, of_weak = _weak_labels(weak, frame, trusted)
    votes = _in_order(votes, weak, paragraphs)
    labels = pd.concat([labels, of_weak], ignore_index=True)
    labels = labels.set_index("paragraph").reindex(paragraphs["id"]).dropna(subset="by")
    labels = labels.rename_axis("paragraph").reset_index()
    return Resolved(votes, labels, sample, current.answers, trusted, [*messages, *lost])


def join_labels(
    paragraphs: pd.DataFrame,
    of_tables: pd.DataFrame,
    current: CurrentAnswers,
    topics: Topics,
    ties: TieRule,
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Decide what people say of each paragraph, whose answers take the place of those of tables.

    Returns
    -------
    The tables of their votes and labels, and messages for people.
    """
    known = set(paragraphs["id"])
    joined = [label for label in current.answers if label.paragraph in known]
    rows, label_of, disputed = _of_people(joined, topics, ties)
    retired = [label for label in current.retired if label.paragraph in known]
    rows += [_row(label, "retired") for label in retired]
    replaced = {*label_of, *(label.paragraph for label in retired)}
    of_table_rows = _of_tables(of_tables, replaced, topics)
    counting = (row for row in of_table_rows if row["status"] == "counts")
    label_of = {row["paragraph"]: row["given"] for row in counting} | label_of
    rows += of_table_rows
    lost = [label for label in current.answers if label.paragraph not in known]
    messages = _messages(_absent_articles(lost, paragraphs), disputed, topics, ties)
    relabel = {row["paragraph"] for row in rows if row["status"] == "retired"}
    relabel -= {label.paragraph for label in joined}
    if relabel:
        messages.append(
            f"{plural(len(relabel), 'paragraph has', 'paragraphs have')} to be labelled again, "
            "because the codebook changed: `paratopic suggest` offers them first"
        )
    return vote_rows(rows), label_rows(label_of, "hand"), messages


def votes_of_weak_sources(
    frame: pd.DataFrame, lines: Sequence[Label], topics: Topics, judged: Collection[str]
) -> Iterator[dict[str, Any]]:
    """Collect what weak sources say of paragraphs, as rows of votes.

    A heading stands for the paragraphs of an article that nobody has looked at yet. Beside these it
    answers for paragraphs with a hand label alone, so that it can be compared. A rule answers for
    each topic whose pattern it finds; in mode multi the topics together are its answer.

    Parameters
    ----------
    frame
        Paragraph table with the labels of people and tables.
    lines
        Lines of weak sources, in the order of labels.csv.
    judged
        Ids of the paragraphs that people have answers on in labels.csv.

    Raises
    ------
    UserError
        A pattern takes too long, or a line has an unknown topic or no number as its confidence.
    """
    answers: dict[str, list[dict[str, object]]] = {}
    for line in current(lines, topics):
        names = list(topics.check(line.names, line.where))
        row = {"source": line.annotator, "kind": "model", "given": names}
        answers.setdefault(line.paragraph, []).append(row | {"confidence": confidence_of(line)})
    by_hand, most = has_hand_label(frame), topics.most
    seen = set(frame["article"][frame["id"].isin(list(judged))])
    headings, rules = topics.patterns("heading"), topics.patterns("pattern")
    columns = [frame[name] for name in ("id", "article", "heading", "title", "text")]
    for is_hand, id_, article, heading, title, text in zip(by_hand, *columns, strict=True):
        # Of a paragraph without a label that people are divided on, nothing is learnt.
        if not is_hand and id_ in judged:
            continue
        rows = [*answers.get(id_, ())]
        if is_hand or article not in seen:
            named = next(_matching(headings, section_heading(heading, title)), None)
            rows += [{"source": HEADINGS, "kind": "heading", "given": [named]}] if named else []
        names = list(_matching(rules, text))
        each = (names[start : start + most] for start in range(0, len(names), most))
        rows += [{"source": RULES, "kind": "rule", "given": given} for given in each]
        yield from ({"paragraph": id_} | row for row in rows)


def _matching(patterns: Mapping[str, Pattern], text: str) -> Iterator[str]:
    """Names of the topics whose pattern is found in a text, in the order of the codebook."""
    return (name for name, pattern in patterns.items() if pattern.is_in(text))


def confidence_of(line: Label) -> float | None:
    """How certain a weak source is of its answer, 0 to 1; None where it does not say.

    Raises
    ------
    UserError
        The cell of the column confidence is no such number.
    """
    cell = dict(line.more).get("confidence", "").strip()
    if not cell:
        return None
    confidence = math.nan
    with suppress(ValueError):
        confidence = float(cell)
    if not 0 <= confidence <= 1:
        raise UserError(
            f'{line.where}: "{cell}" in the column confidence is not a number from 0 to 1; '
            "correct it, or leave it empty"
        )
    return confidence


def vote_rows(rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Make a table of votes; a row may leave out its place, confidence and status."""
    usual = {"place": None, "confidence": np.nan, "status": "overruled"}
    return pd.DataFrame([{**usual, **row} for row in rows], columns=VOTES_SCHEMA.names)


def label_rows(label_of: Mapping[str, list[str]], by: str) -> pd.DataFrame:
    """Make a table of labels: id → topics."""
    rows = [(paragraph, label, by) for paragraph, label in label_of.items()]
    return pd.DataFrame(rows, columns=LABELS_SCHEMA.names)


def in_names_of_today(
    votes: pd.DataFrame, labels: pd.DataFrame, topics: Topics
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of votes and labels as they read if the codebook changed since stage prepare."""
    given, is_open = _renamed(votes["given"], topics)
    votes = votes.assign(given=given, status=votes["status"].mask(is_open, "retired"))
    label, is_gone = _renamed(labels["label"], topics)
    return votes[~is_open | votes["kind"].isin(BY_HAND)], labels.assign(label=label)[~is_gone]


def _renamed(names: pd.Series, topics: Topics) -> tuple[pd.Series, pd.Series]:
    """Lists of topics in today's names, and which of them are to be given again."""
    meanings = [topics.today(each) for each in names]
    today = pd.Series([list(each.names) for each in meanings], names.index, dtype=object)
    return today, pd.Series([bool(each.retired) for each in meanings], names.index, dtype=bool)


def check_meanings(sources: Iterable[Source | str], topics: Topics) -> None:
    """Raise an error where params.yaml gives a label of a table a topic that is unknown."""
    for source in sources:
        if isinstance(source, str):
            continue
        for label in source.labels:
            where = f'params.yaml, prepare.sources: labels of {source.path}, "{label}"'
            _today(source.meaning(label) or [], topics, where)


def _in_order(
    of_people: pd.DataFrame, of_sources: pd.DataFrame, paragraphs: pd.DataFrame
) -> pd.DataFrame:
    """The votes by paragraph, kind and source, so that the order of files changes no result."""
    place = {id_: row for row, id_ in enumerate(paragraphs["id"])}
    tables = [each for each in (of_people, of_sources) if len(each)]
    votes = pd.concat(tables, ignore_index=True) if tables else of_people
    columns = [votes[name] for name in ("paragraph", "kind", "source", "given")]
    keys = [(place[id_], *rest) for id_, *rest in zip(*columns, strict=True)]
    return votes.iloc[sorted(range(len(keys)), key=keys.__getitem__)].reset_index(drop=True)


def _row(answer: Label, status: str) -> dict[str, object]:
    """A person's answer as a row of votes."""
    row = {"paragraph": answer.paragraph, "source": answer.annotator, "kind": "person"}
    return row | {"given": list(answer.names), "status": status}


def _of_people(
    labels: Iterable[Label], topics: Topics, ties: TieRule
) -> tuple[list[dict[str, object]], dict[str, list[str]], Counter[Reason]]:
    """People's votes; id → label; and how many labels were chosen in which way."""
    rows: list[dict[str, object]] = []
    label_of: dict[str, list[str]] = {}
    chosen_by: Counter[Reason] = Counter()
    for paragraph, answers in by_paragraph(labels).items():
        for answer in answers:
            _check(answer, topics)
        chosen, reason = aggregate(answers, topics)
        counted = set(topics.counted(chosen))
        if (reason, ties) != ("tie", "leave_out"):
            label_of[paragraph] = list(chosen)
        for answer in answers:
            agrees = set(topics.counted(answer.names)) == counted
            status = "tie" if reason == "tie" else "counts" if agrees else "outvoted"
            rows.append(_row(answer, status))
        chosen_by[reason] += 1
    return rows, label_of, chosen_by


def _of_tables(
    answers: pd.DataFrame, replaced: Collection[str], topics: Topics
) -> list[dict[str, Any]]:
    """Votes of tables, from their raw answers."""
    rows = []
    for paragraph, source, cell, given, _, where in answers.itertuples(index=False, name=None):
        try:
            meaning = _today(given, topics, where)
        except UserError as error:
            shown = json.dumps(" ".join(cell.split())[:60], ensure_ascii=False)
            raise UserError(
                f"{error}. If the label means none of the topics, list it in prepare.no_topic; if "
                "it means a topic of another name, say so in prepare.sources: "
                f"{{path: {source}, labels: {{{shown}: TOPIC}}}}"
            ) from None
        names, status = list(meaning.names), "retired" if meaning.retired else "counts"
        status = "overruled" if paragraph in replaced else status
        row = {"paragraph": paragraph, "source": source, "kind": "table", "given": names}
        rows.append(row | {"place": where.rpartition(", ")[2], "status": status})
    return rows


def _today(names: Sequence[str], topics: Topics, where: str) -> Meaning:
    """What names mean today; a UserError says that the codebook never had one of them."""
    meaning = topics.today(names)
    if not meaning.retired:
        topics.check(meaning.names, where)
    return meaning


def _members(
    rows: pd.DataFrame, lines: Sequence[Label], of_tables: Collection[str]
) -> tuple[dict[str, set[str]], list[str]]:
    """Each group that paragraphs were drawn from → its texts; messages on what is left out."""
    n_drawn = Counter(line.group for line in lines if line.is_decided and line.group)
    known = texts_in(rows, n_drawn)
    gone = [f"{group} ({plural(n, 'label')})" for group, n in n_drawn.items() if group not in known]
    messages = [
        "some labels are no longer part of the random sample, because the groups that they were "
        f"drawn from are not in the metadata: {in_short(gone)}"
    ][: len(gone)]
    members = {group: known[group] for group in n_drawn if group in known}
    others = sorted(group for group in known if group not in members and known[group])
    drawn = (line for line in lines if line.is_decided and line.chance)
    if others and "paragraph" not in of_tables and all(line.group for line in drawn):
        messages.append(
            f"no label was drawn from {in_short(others)}. Until `paratopic label --random --by "
            f"{quote(others[0])}` draws some, labels of the other groups correct predictions "
            "there, or shares leave it out if it is a large part of the corpus"
        )
    return members, messages


def _sample(
    frame: pd.DataFrame, lines: Sequence[Label], members: Mapping[str, Collection[str]]
) -> pd.DataFrame:
    """How labels were drawn and weigh; and paragraphs that were drawn and have no label."""
    drawn = dict(zip(frame["id"], frame["draw"], strict=True))
    drawn |= {line.paragraph: line.draw for line in lines if line.is_decided and line.drawn}
    has_label = has_hand_label(frame)
    sample = weigh_sample(frame, lines, members).where(has_label, np.nan)
    sample["draw"] = sample["draw"].where(has_label, frame["id"].map(drawn).fillna(""))
    sample = sample.assign(paragraph=frame["id"], frame=sample["frame"].fillna(""))
    return sample[has_label | (sample["draw"] != "")].reset_index(drop=True)


def _weak_labels(
    weak: pd.DataFrame, frame: pd.DataFrame, trusted: WeakSources
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The votes of weak sources, and the labels that they give where people give none.

    Where there are none, they have nothing to teach, and are left out.
    """
    combined, names = (
        combine_votes(frame, weak, trusted),
        np.array(trusted.topics.names, dtype=object),
    )
    has_weak_label = (frame["label_source"] == "none").to_numpy() & (combined.weights > 0).any(
        axis=1
    )
    weakly_labelled = zip(
        frame["id"][has_weak_label], combined.targets[has_weak_label], strict=True
    )
    label_of = {id_: names[has].tolist() for id_, has in weakly_labelled}
    if not label_of:
        return weak[:0], label_rows({}, "weak")
    status = np.where(weak["paragraph"].isin(label_of), "counts", "overruled")
    return weak.assign(status=status), label_rows(label_of, "weak")


def _check(answer: Label, topics: Topics) -> None:
    try:
        topics.check(answer.names, answer.where)
    except UserError as error:
        raise UserError(
            f"{error}. If the topic was renamed or removed in the codebook, say so there: put its "
            "old name into `was` of a topic, or into `retired`, as `paratopic codebook` does."
        ) from None


def _absent_articles(labels: Sequence[Label], frame: pd.DataFrame) -> Counter[str]:
    """Count the labels without a paragraph by article, where the article is not a source either."""
    articles = set(frame["article"])
    # On one line, as `first_words` writes them.
    texts = frame["text"].str.split().str.join(" ") if labels else frame["text"]
    absent: Counter[str] = Counter()
    lost = []
    for label in labels:
        article = label.paragraph.rpartition(":")[0]
        words = " ".join(label.text.split())
        is_like = (
            frame["article"] == article if article in articles else texts.str.startswith(words)
        )
        if article not in articles and not (words and is_like.any()):
            absent[article] += 1
            continue
        lost.append(f'{label.where}: {label.paragraph} "{label.text}" is no longer a paragraph')
        if words:
            # Of these, the one whose beginning is most like the label's first words.
            beginnings = [text[: len(words)] for text in texts[is_like]]
            (nearest,) = difflib.get_close_matches(words, beginnings, n=1, cutoff=0)
            now = frame[is_like].iloc[beginnings.index(nearest)]
            lost[-1] += f'; most similar now: {now["id"]} "{first_words(now["text"])}"'
    if lost:
        raise UserError("\n".join([*lost, "Give these lines the new id, or remove them."]))
    return absent


def _messages(
    absent: Mapping[str, int], disputed: Mapping[Reason, int], topics: Topics, ties: TieRule
) -> list[str]:
    messages = [
        f"article {article} is not among the sources ({plural(count, 'label')} ignored)"
        for article, count in sorted(absent.items())
    ]
    if majority := disputed["majority"]:
        disputed_ones = plural(majority, "disputed paragraph gets", "disputed paragraphs get")
        messages.append(f"{disputed_ones} the answer of most annotators")
    if tied := disputed["tie"]:
        how = label_in_a_tie(ties, topics)
        messages.append(
            f"{plural(tied, 'tie')} between annotators, {how} (prepare.ties: {ties}). "
            "Another answer settles a tie; `paratopic review` lists all ties."
        )
    return messages
