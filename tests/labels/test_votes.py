"""The votes that count, and merging lines into labels.csv."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.labels.log import Label, read_lines
from paratopic.labels.votes import aggregate, disputes, latest_votes, merge
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics, join_cell
from tests.labels.lines import ANY, BY_HAND, EARLY, LATE, latest_votes_in, write
from tests.samples import PARAMS

LINES = st.builds(
    Label,
    st.just("file"),
    st.sampled_from(["a:0", "a:1", "a:9"]),
    st.sampled_from(["trade", "security;trade", "", "?"]),
    st.just("words"),
    st.sampled_from(["", "ann", " ann ", "bo"]),
    st.sampled_from(["", EARLY, LATE]),
    st.sampled_from(["", "a, note", " a, \n note\u2028 "]),
)


def test_the_latest_vote_of_each_annotator_counts(path: Path) -> None:
    write(
        path,
        f"a:1,trade,x,ann,{LATE},",
        f"a:1,security,x,ann,{EARLY},",  # earlier, although it is below
        "a:1,technology,x,ann,,",  # without a time: earlier than all others
        f"a:1,security,x,bo,{EARLY},",
        f"a:2,trade,x,ann,{EARLY},",
        f"a:2,?,x,ann,{LATE},",  # withdrawn
        "a:3,?,x,,,",  # not decided yet
        "a:3,,x,,,",
        *("a:4,trade,x,ann,,", "a:4,security,x,ann,,", "a:4,trade,x,ann,,"),  # all count
    )
    assert latest_votes_in(path) == [
        *(("a:1", "ann", "trade"), ("a:1", "bo", "security"), ("a:3", "", "")),
        *(("a:4", "ann", "trade"), ("a:4", "ann", "security")),
    ]


def test_lines_without_an_annotator_that_contradict_each_other_are_refused(path: Path) -> None:
    write(path, "a:1,trade,x", "b:1,,y", "a:1,security,x", header=BY_HAND)
    message = r'line 4: a:1 is labelled "security", but .*line 2 labels it "trade"'
    with pytest.raises(UserError, match=message):
        latest_votes(read_lines(path), ANY)


def checked_votes(
    topics: Topics, cells: list[str], expected: str, expected_reason: str
) -> list[Label]:
    """Votes of annotators, which are aggregated as expected in any order."""
    votes = [Label(f"line {n}", "a:1", cell, "", f"who{n}") for n, cell in enumerate(cells)]
    for seed in range(5):
        shuffled = random.Random(seed).sample(votes, len(votes))
        names, reason = aggregate(shuffled, topics)
        assert (join_cell(names), reason) == (expected, expected_reason)
    return votes


@pytest.mark.parametrize("again", ["a:1,trade;security,x", "a:1,trade; security,x"])
def test_the_same_vote_twice_is_one(path: Path, again: str) -> None:
    write(path, "a:1,trade;security,x", again, header=BY_HAND)
    assert len(latest_votes(read_lines(path), ANY)) == 1


@pytest.mark.parametrize(
    ("cells", "expected", "reason"),
    [
        (["security;trade", "trade;security"], "trade;security", "agreed"),
        (["trade;security", "trade", "trade;technology"], "trade", "majority"),
        (["trade", "technology", "security"], "", "majority"),
        (["trade;security", "trade"], "trade;security", "tie"),
        (["trade", ""], "trade", "tie"),
        (["", ""], "", "agreed"),
    ],
)
def test_in_mode_multi_a_topic_counts_if_half_of_the_annotators_vote_for_it(
    topics: Topics, cells: list[str], expected: str, reason: str
) -> None:
    topics = replace(topics, mode="multi")
    votes = checked_votes(topics, cells, expected, reason)
    assert len(disputes(votes, ["a:1"], topics)) == (reason != "agreed")


@pytest.mark.parametrize(
    ("cells", "expected", "reason"),
    [
        (["security", "security"], "security", "agreed"),
        (["security", "trade", "security"], "security", "majority"),
        # Security is dominant in two of three votes; further topics matter less.
        (["security;trade", "trade", "security;technology"], "security;trade", "majority"),
        (["security;trade", "trade", "security"], "security", "majority"),
        # Trade is dominant as often as security, whatever the further topics.
        (["trade", "trade;security", "security", "security"], "trade", "tie"),
        (["security", "trade"], "trade", "tie"),  # the codebook's order
        (["", "security"], "security", "tie"),  # none of the topics comes last
        (["", "", "security"], "", "majority"),
        (["elsewhere", ""], "elsewhere", "tie"),
    ],
)
def test_the_vote_of_most_annotators_counts(
    topics: Topics, cells: list[str], expected: str, reason: str
) -> None:
    checked_votes(topics, cells, expected, reason)


def merged(
    path: Path, topics: Topics, new: Sequence[Label], name: str = "file"
) -> tuple[int, list[str]]:
    return merge(path, new, name, {f"a:{n}": n for n in range(3)}, topics, PARAMS.labels)


def test_a_merge_keeps_earlier_lines_and_reports_disputes(path: Path, topics: Topics) -> None:
    header = "paragraph,topics,mine,text"
    write(path, 'a:2,trade,"my, own",Tariffs', "a:1,?,,Undecided", header=header)
    before = path.read_bytes()
    new = [
        Label("f, line 2", "a:2", "security", "Tariffs"),
        Label("f, line 3", "a:2", "trade", "Tariffs"),  # the file has it without an annotator
        Label("f, line 4", "a:1", "", "Undecided", "bo", EARLY, "why"),
    ]
    added, (tie,) = merged(path, topics, new)
    assert added == 2
    assert tie.startswith("a:2 – unnamed annotator: trade; file: security → a tie")
    assert path.read_text(encoding="utf-8").splitlines() == [
        "paragraph,topics,mine,text,annotator,when,note,drawn",
        'a:2,trade,"my, own",Tariffs,,,,',
        "a:1,?,,Undecided,,,,",
        f"a:1,,,Undecided,bo,{EARLY},why,",
        "a:2,security,,Tariffs,file,,,",
    ]
    assert path.with_name("labels.csv.bak").read_bytes() == before
    merged_bytes = path.read_bytes()
    assert merged(path, topics, new)[0] == 0
    assert path.read_bytes() == merged_bytes
    assert path.with_name("labels.csv.bak").read_bytes() == before


def test_an_annotator_who_changed_their_mind_is_reported(path: Path, topics: Topics) -> None:
    merged(path, topics, [Label("f", "a:1", "trade", "", "ann", EARLY)])
    _, disputed = merged(path, topics, [Label("f", "a:1", "security", "", "ann", LATE)])
    assert disputed[0].startswith("a:1 – ann: trade, then security → security counts")


def test_blanks_around_a_name_or_a_note_make_no_new_line(path: Path, topics: Topics) -> None:
    write(path, 'a:1,trade,words,ann,,"two  lines"')
    new = [Label("f", "a:1", "trade", "", note="two\nlines "), Label("f", "a:2", "trade", "")]
    assert [merged(path, topics, new, " ann ")[0] for _ in range(2)] == [1, 0]
    assert {line.annotator for line in read_lines(path)} == {"ann"}


@settings(max_examples=60)
@given(st.lists(LINES, max_size=6), st.lists(LINES, max_size=6))
def test_the_order_of_merges_does_not_matter_and_no_line_is_lost(
    tmp_path_factory: pytest.TempPathFactory, topics: Topics, one: list[Label], other: list[Label]
) -> None:
    contents = []
    for files in ((("a", one), ("b", other)), (("b", other), ("a", one))):
        path = write(tmp_path_factory.mktemp("x") / "labels.csv", "a:1,trade,words,,,")
        for name, lines in (*files, *files):
            merged(path, topics, lines, name)
        contents.append(path.read_bytes())
        keys = {line.key for line in read_lines(path)}
        for name, lines in files:
            for line in lines:
                paragraph, names, annotator, time, note = line.key
                key = paragraph, names, annotator.strip(), time, " ".join(note.split())
                assert key in keys or (*key[:2], name, *key[3:]) in keys
    assert contents[0] == contents[1]
