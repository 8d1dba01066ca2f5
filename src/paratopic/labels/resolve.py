"""Decide which votes of people, tables and weak sources count, and make the tables from them."""

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
from paratopic.corpus.table import TABLE, has_hand_label, texts_by_frame, with_metadata
from paratopic.labels.log import Label, first_words
from paratopic.labels.sample import Frames, weigh_sample
from paratopic.labels.votes import (
    CurrentVotes,
    Reason,
    aggregate,
    by_paragraph,
    current_votes,
    tie_rule_in_words,
    votes_of_people,
)
from paratopic.labels.weak import WeakSources, combine_votes, estimate_sources
from paratopic.project.errors import UserError, plural, shortened_list
from paratopic.project.params import Params
from paratopic.project.passages import section_heading
from paratopic.project.source_settings import Source
from paratopic.project.topics import Meaning, Pattern, TieRule, Topics

# Names of the sources that are in the codebook.
HEADINGS, RULES = "headings", "rules"


class Resolved(NamedTuple):
    """The votes and labels that count, the weak sources, and messages for people.

    Attributes
    ----------
    votes, labels, sample
        The tables of `corpus.labelled`.
    annotator_votes
        The latest vote of each annotator on each paragraph.
    """

    votes: pd.DataFrame
    labels: pd.DataFrame
    sample: pd.DataFrame
    annotator_votes: list[Label]
    weak_sources: WeakSources
    messages: list[str]


def resolve(
    paragraphs: pd.DataFrame,
    table_votes: pd.DataFrame,
    lines: Sequence[Label],
    params: Params,
    metadata: pd.DataFrame,
) -> Resolved:
    """Compute the tables of votes, labels and the sample from all votes.

    The label of a paragraph is by people, else by tables, else by weak sources; without one, it has
    no row in the table of labels. `table_votes` are raw (`reading.tables.RAW_VOTE_COLUMNS`),
    `lines` are all of labels.csv, in its order, and `metadata` has columns for id and each field.

    A `UserError` reports a line on a paragraph that its article lacks now, an unknown topic, a slow
    pattern, different votes of one time without an annotator, and a confidence that is not 0 to 1.
    """
    topics, settings, ties = params.topics, params.labels, params.prepare.ties
    people_lines = votes_of_people(lines, settings)
    source_lines = [line for line in lines if settings.is_weak(line.annotator)]
    current = current_votes(people_lines, topics)
    votes, labels, messages = join_labels(paragraphs, table_votes, current, topics, ties)
    # A row of a table that was drawn remains part of the sample if people label it again.
    draw_of = dict(zip(table_votes["paragraph"], table_votes["draw"], strict=True))
    frame = with_labels(paragraphs, labels)
    frame = frame.assign(draw=[draw_of.get(id_, "") for id_ in frame["id"]])
    rows = with_metadata(paragraphs, metadata)
    tables = [f"{TABLE}{Path(source).stem}" for source in table_votes["source"].unique()]
    decided = [line for line in people_lines if line.is_decided]
    members, group_messages = _members(rows, decided, {*draw_of.values()})
    members |= texts_by_frame(rows, tables)
    sample = _sample(frame, decided, members)
    voted_on = {vote.paragraph for vote in current.votes}
    weak_votes = vote_rows(votes_of_weak_sources(frame, source_lines, topics, voted_on))
    sources = estimate_sources(frame, weak_votes, topics, params.evaluate.confidence)
    weak_votes, weak_labels = _weak_labels(weak_votes, frame, sources)
    votes = _in_order(votes, weak_votes, paragraphs)
    labels = pd.concat([labels, weak_labels], ignore_index=True)
    labels = labels.set_index("paragraph").reindex(paragraphs["id"]).dropna(subset="by")
    labels = labels.rename_axis("paragraph").reset_index()
    return Resolved(votes, labels, sample, current.votes, sources, [*messages, *group_messages])


def join_labels(
    paragraphs: pd.DataFrame,
    table_votes: pd.DataFrame,
    current: CurrentVotes,
    topics: Topics,
    ties: TieRule,
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """The tables of hand votes (`VOTES_SCHEMA`) and hand labels (`LABELS_SCHEMA`), and messages.

    Votes of people, even retired ones and ties, overrule those of tables on the same paragraph.
    Retired and overruled votes stay in the table. Votes on articles that no longer exist are left
    out, with a message; other votes on missing paragraphs, and unknown topics, are a `UserError`.
    """
    known = set(paragraphs["id"])
    votes = [vote for vote in current.votes if vote.paragraph in known]
    rows, label_of, reasons = _aggregated(votes, topics, ties)
    retired = [vote for vote in current.retired if vote.paragraph in known]
    rows += [_row(vote, "retired") for vote in retired]
    overruled = {vote.paragraph for vote in [*votes, *retired]}
    table_rows = _table_rows(table_votes, overruled, topics)
    counting = (row for row in table_rows if row["status"] == "counts")
    label_of = {row["paragraph"]: row["given"] for row in counting} | label_of
    rows += table_rows
    unmatched = [vote for vote in current.votes if vote.paragraph not in known]
    absent = _absent_articles(unmatched, paragraphs)
    to_relabel = {row["paragraph"] for row in rows if row["status"] == "retired"}
    to_relabel -= {vote.paragraph for vote in votes}
    messages = _messages(absent, reasons, len(to_relabel), topics, ties)
    return vote_rows(rows), label_rows(label_of, "hand"), messages


def votes_of_weak_sources(
    frame: pd.DataFrame, lines: Sequence[Label], topics: Topics, voted_on: Collection[str]
) -> Iterator[dict[str, Any]]:
    """Yield rows for `vote_rows`: paragraph, source, kind, given, and for lines the confidence.

    Source and kind are the annotator and "model", "headings" and "heading", or "rules" and "rule".
    A heading votes, for the first topic that matches, on the paragraphs of an article on which no
    person has voted yet. In other articles it votes only on paragraphs with a hand label, for
    comparison. A rule votes for each topic whose pattern matches; in mode multi, one vote contains
    all of these topics. Paragraphs with votes of people, but without a hand label, are left out.

    `frame` is the paragraph table with the labels of people and tables, `lines` are those of weak
    sources, and `voted_on` has the ids on which people have voted in labels.csv. A `UserError`
    reports a pattern that takes too long, an unknown topic, or a confidence that is not 0 to 1.
    """
    line_votes: dict[str, list[dict[str, object]]] = {}
    for line in current_votes(lines, topics).votes:
        names = list(topics.check(line.names, line.where))
        row = {"source": line.annotator, "kind": "model", "given": names}
        line_votes.setdefault(line.paragraph, []).append(row | {"confidence": confidence_of(line)})
    by_hand, most = has_hand_label(frame), topics.max_topics
    articles_voted_on = set(frame["article"][frame["id"].isin(list(voted_on))])
    headings, rules = topics.patterns("heading"), topics.patterns("pattern")
    columns = [frame[name] for name in ("id", "article", "heading", "title", "text")]
    for is_hand, id_, article, heading, title, text in zip(by_hand, *columns, strict=True):
        # Weak votes on a paragraph with a tie are left out: no model is trained on it.
        if not is_hand and id_ in voted_on:
            continue
        rows = [*line_votes.get(id_, ())]
        if is_hand or article not in articles_voted_on:
            topic = next(_matching(headings, section_heading(heading, title)), None)
            if topic:
                rows.append({"source": HEADINGS, "kind": "heading", "given": [topic]})
        names = list(_matching(rules, text))
        for start in range(0, len(names), most):
            rows.append({"source": RULES, "kind": "rule", "given": names[start : start + most]})
        yield from ({"paragraph": id_} | row for row in rows)


def _matching(patterns: Mapping[str, Pattern], text: str) -> Iterator[str]:
    """Names of the topics whose pattern matches a text, in the order of the codebook."""
    return (name for name, pattern in patterns.items() if pattern.matches(text))


def confidence_of(line: Label) -> float | None:
    """The column confidence as a number; None if empty or missing, a `UserError` if not 0 to 1."""
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
    """Make a table of labels, all `by` "hand" or by "weak": id → topics."""
    rows = [(paragraph, label, by) for paragraph, label in label_of.items()]
    return pd.DataFrame(rows, columns=LABELS_SCHEMA.names)


def tables_in_current_names(
    votes: pd.DataFrame, labels: pd.DataFrame, topics: Topics
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rename topics in copies of the tables of votes and labels, if the codebook changed since.

    Hand votes for a retired topic keep its name and get the status "retired". Weak votes for one
    are removed, and so are all labels with one.
    """
    given, is_retired = _renamed(votes["given"], topics)
    votes = votes.assign(given=given, status=votes["status"].mask(is_retired, "retired"))
    votes = votes[~is_retired | votes["kind"].isin(BY_HAND)]
    label, is_retired = _renamed(labels["label"], topics)
    return votes, labels.assign(label=label)[~is_retired]


def _renamed(names: pd.Series, topics: Topics) -> tuple[pd.Series, pd.Series]:
    """Lists of topics in current names, and a mask of the lists that name retired topics."""
    meanings = [topics.current_meaning(row) for row in names]
    renamed = pd.Series([list(meaning.names) for meaning in meanings], names.index, dtype=object)
    is_retired = [bool(meaning.retired) for meaning in meanings]
    return renamed, pd.Series(is_retired, names.index, dtype=bool)


def check_meanings(sources: Iterable[Source | str], topics: Topics) -> None:
    """Refuse settings that map a label of a table to an unknown topic, with a `UserError`."""
    for source in sources:
        if isinstance(source, Source):
            for label in source.labels:
                where = f'params.yaml, prepare.sources: labels of {source.path}, "{label}"'
                _known_meaning(source.label_topics(label) or [], topics, where)


def _in_order(hand: pd.DataFrame, weak: pd.DataFrame, paragraphs: pd.DataFrame) -> pd.DataFrame:
    """Hand and weak votes in one table, sorted by order of paragraphs, kind, source and topics."""
    place = {id_: row for row, id_ in enumerate(paragraphs["id"])}
    tables = [votes for votes in (hand, weak) if len(votes)]
    votes = pd.concat(tables, ignore_index=True) if tables else hand
    columns = [votes[name] for name in ("paragraph", "kind", "source", "given")]
    keys = [(place[id_], *rest) for id_, *rest in zip(*columns, strict=True)]
    return votes.iloc[sorted(range(len(keys)), key=keys.__getitem__)].reset_index(drop=True)


def _row(vote: Label, status: str) -> dict[str, object]:
    """A person's vote as a row of the table of votes."""
    row = {"paragraph": vote.paragraph, "source": vote.annotator, "kind": "person"}
    return row | {"given": list(vote.names), "status": status}


def _aggregated(
    votes: Iterable[Label], topics: Topics, ties: TieRule
) -> tuple[list[dict[str, object]], dict[str, list[str]], Counter[Reason]]:
    """Rows of people's votes; paragraph id → label; and the number of paragraphs with each reason.

    `aggregate` decides; with the rule leave_out, a tie gives no label. In mode single, a label may
    have topics after the dominant one. The status of a vote is "tie" if there is one, "counts" if
    its counted topics are those of the label, else "outvoted". An unknown topic is a `UserError`.
    """
    rows: list[dict[str, object]] = []
    label_of: dict[str, list[str]] = {}
    reasons: Counter[Reason] = Counter()
    for paragraph, paragraph_votes in by_paragraph(votes).items():
        for vote in paragraph_votes:
            _check(vote, topics)
        chosen, reason = aggregate(paragraph_votes, topics)
        counted = set(topics.counted(chosen))
        if (reason, ties) != ("tie", "leave_out"):
            label_of[paragraph] = list(chosen)
        for vote in paragraph_votes:
            agrees = set(topics.counted(vote.names)) == counted
            status = "tie" if reason == "tie" else "counts" if agrees else "outvoted"
            rows.append(_row(vote, status))
        reasons[reason] += 1
    return rows, label_of, reasons


def _table_rows(
    table_votes: pd.DataFrame, overruled: Collection[str], topics: Topics
) -> list[dict[str, Any]]:
    """Rows for `vote_rows` of tables' raw votes: paragraph, source, kind, given, place and status.

    The kind is "table". The status is "overruled" if `overruled` has the id of the paragraph, else
    "retired" if a topic is retired (given has the names as written), else "counts". The place is
    such as "row 2". An unknown topic is a `UserError` that shows how to map the label to a topic.
    """
    rows = []
    for paragraph, source, cell, given, _, where in table_votes.itertuples(index=False, name=None):
        try:
            meaning = _known_meaning(given, topics, where)
        except UserError as error:
            shown = json.dumps(" ".join(cell.split())[:60], ensure_ascii=False)
            raise UserError(
                f"{error}. If the label means none of the topics, list it in prepare.no_topic; if "
                "it means a topic of another name, say so in prepare.sources: "
                f"{{path: {source}, labels: {{{shown}: TOPIC}}}}"
            ) from None
        names, status = list(meaning.names), "retired" if meaning.retired else "counts"
        status = "overruled" if paragraph in overruled else status
        row = {"paragraph": paragraph, "source": source, "kind": "table", "given": names}
        rows.append(row | {"place": where.rpartition(", ")[2], "status": status})
    return rows


def _known_meaning(names: Sequence[str], topics: Topics, where: str) -> Meaning:
    """Current meaning of names; a `UserError` if the codebook never had one of them."""
    meaning = topics.current_meaning(names)
    if not meaning.retired:
        topics.check(meaning.names, where)
    return meaning


def _members(
    rows: pd.DataFrame, decided: Sequence[Label], table_draws: Collection[str]
) -> tuple[dict[str, set[str]], list[str]]:
    """Each group from which `decided` lines were drawn → its texts; and messages on other groups.

    Groups that `rows` no longer has are left out, with a message. Another is about groups of the
    same columns without any draw, unless a line was drawn from all paragraphs, or a row of a table:
    `table_draws`, the units of these rows, has "paragraph". `rows` has the metadata.
    """
    n_drawn = Counter(line.group for line in decided if line.group)
    texts_in = texts_by_frame(rows, n_drawn)
    members = {group: texts_in[group] for group in n_drawn if group in texts_in}
    missing = [f"{g} ({plural(n, 'label')})" for g, n in n_drawn.items() if g not in texts_in]
    messages = []
    if missing:
        messages.append(
            "some labels are no longer part of the random sample, because the groups that they "
            f"were drawn from are not in the metadata: {shortened_list(missing)}"
        )
    undrawn = sorted({group for group, texts in texts_in.items() if texts} - n_drawn.keys())
    has_draws_from_all = any(line.chance and not line.group for line in decided)
    if undrawn and "paragraph" not in table_draws and not has_draws_from_all:
        messages.append(
            f"no label was drawn from {shortened_list(undrawn)}. Until `paratopic label --random "
            f"--by {quote(undrawn[0])}` draws some, labels of the other groups correct predictions "
            "there, or shares leave it out if it is a large part of the corpus"
        )
    return members, messages


def _sample(frame: pd.DataFrame, decided: Sequence[Label], members: Frames) -> pd.DataFrame:
    """The table of the sample: a row for each paragraph with a hand label, or drawn without one.

    Without one, draw is that of a line, else that in `frame`, of a row of a table; the frame is "",
    and weight and effective_count are NaN.
    """
    draw_of = dict(zip(frame["id"], frame["draw"], strict=True))
    draw_of |= {line.paragraph: line.draw for line in decided if line.drawn}
    has_label = has_hand_label(frame)
    sample = weigh_sample(frame, decided, members).where(has_label, np.nan)
    sample["draw"] = sample["draw"].where(has_label, frame["id"].map(draw_of).fillna(""))
    sample = sample.assign(paragraph=frame["id"], frame=sample["frame"].fillna(""))
    return sample[has_label | (sample["draw"] != "")].reset_index(drop=True)


def _weak_labels(
    weak_votes: pd.DataFrame, frame: pd.DataFrame, sources: WeakSources
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The votes of weak sources with a column `status`, and weak labels for unlabelled paragraphs.

    A paragraph gets one, [] for none of the topics, if its combined votes have a weight above 0.
    Its votes then have the status "counts", and all others, such as those on paragraphs with a hand
    label, "overruled". If no paragraph gets one, both tables are empty.
    """
    combined = combine_votes(frame, weak_votes, sources)
    names = np.array(sources.topics.names, dtype=object)
    is_counted = (combined.weights > 0).any(axis=1)
    has_weak_label = (frame["label_source"] == "none").to_numpy() & is_counted
    ids, targets = frame["id"][has_weak_label], combined.targets[has_weak_label]
    label_of = {id_: names[row].tolist() for id_, row in zip(ids, targets, strict=True)}
    if not label_of:
        return weak_votes[:0], label_rows({}, "weak")
    status = np.where(weak_votes["paragraph"].isin(label_of), "counts", "overruled")
    return weak_votes.assign(status=status), label_rows(label_of, "weak")


def _check(vote: Label, topics: Topics) -> None:
    """Raise a `UserError` for a name in a vote that no topic has now, even a former or retired one.

    It explains the codebook's keys `was` and `retired`, which have the old names of topics.
    """
    try:
        topics.check(vote.names, vote.where)
    except UserError as error:
        raise UserError(
            f"{error}. If the topic was renamed or removed in the codebook, say so there: put its "
            "old name into `was` of a topic, or into `retired`, as `paratopic codebook` does."
        ) from None


def _absent_articles(votes: Sequence[Label], frame: pd.DataFrame) -> Counter[str]:
    """Article that no longer exists → number of the votes on it, all on ids that `frame` lacks.

    A `UserError` lists the votes whose article exists, or whose first words begin a paragraph of
    another one. It names the most similar paragraph, if a vote has first words.
    """
    articles = set(frame["article"])
    # The texts are on one line, as `first_words` writes them.
    texts = frame["text"].str.split().str.join(" ") if votes else frame["text"]
    absent: Counter[str] = Counter()
    errors = []
    for vote in votes:
        article = vote.paragraph.rpartition(":")[0]
        words = " ".join(vote.text.split())
        if article in articles:
            is_candidate = frame["article"] == article
        else:
            is_candidate = texts.str.startswith(words)
            if not (words and is_candidate.any()):
                absent[article] += 1
                continue
        error = f'{vote.where}: {vote.paragraph} "{vote.text}" is no longer a paragraph'
        if words:
            # The most similar paragraph is the one whose beginning is closest to the first words.
            beginnings = [text[: len(words)] for text in texts[is_candidate]]
            (nearest,) = difflib.get_close_matches(words, beginnings, n=1, cutoff=0)
            row = frame[is_candidate].iloc[beginnings.index(nearest)]
            error += f'; most similar now: {row["id"]} "{first_words(row["text"])}"'
        errors.append(error)
    if errors:
        raise UserError("\n".join([*errors, "Give these lines the new id, or remove them."]))
    return absent


def _messages(
    absent: Counter[str], reasons: Counter[Reason], n_to_relabel: int, topics: Topics, ties: TieRule
) -> list[str]:
    """Messages, if any: one for each absent article, one each on majorities, ties, old topics."""
    messages = [
        f"article {article} is not among the sources ({plural(count, 'label')} ignored)"
        for article, count in sorted(absent.items())
    ]
    if n_majority := reasons["majority"]:
        disputed = plural(n_majority, "disputed paragraph gets", "disputed paragraphs get")
        messages.append(f"{disputed} the answer of most annotators")
    if n_ties := reasons["tie"]:
        rule = tie_rule_in_words(ties, topics)
        messages.append(
            f"{plural(n_ties, 'tie')} between annotators, {rule} (prepare.ties: {ties}). "
            "Another answer settles a tie; `paratopic review` lists all ties."
        )
    if n_to_relabel:
        messages.append(
            f"{plural(n_to_relabel, 'paragraph has', 'paragraphs have')} to be labelled again, "
            "because the codebook changed: `paratopic suggest` offers them first"
        )
    return messages
