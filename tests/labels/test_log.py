"""The labels' file: reading, which answer counts, merging, appending."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.labels.answers import Merged, merge, read_labels, resolve
from paratopic.labels.log import Label, append, read_lines
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics

HEADER = "paragraph,topics,text,annotator,when,note"
EARLY, LATE = "2025-09-15T10:00:00Z", "2025-09-15T12:30:00+02:00"


def write(path: Path, *lines: str, header: str = HEADER, end: str = "\n") -> Path:
    path.write_text("\n".join([header, *lines]) + end, encoding="utf-8")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


def said(path: Path) -> list[tuple[str, str, str]]:
    return [(line.paragraph, line.annotator, line.cell) for line in read_labels(path)]


def test_the_latest_answer_of_each_annotator_counts(path: Path) -> None:
    write(
        path,
        f"a:1,trade,x,ann,{LATE},",
        f"a:1,security,x,ann,{EARLY},",  # earlier, although it stands below
        "a:1,technology,x,ann,,",  # without a time: before all others
        f"a:1,security,x,bo,{EARLY},",
        f"a:2,trade,x,ann,{EARLY},",
        f"a:2,?,x,ann,{LATE},",  # taken back
        "a:3,?,x,,,",  # not decided yet
        "a:3,,x,,,",
    )
    assert said(path) == [("a:1", "ann", "trade"), ("a:1", "bo", "security"), ("a:3", "", "")]


def test_answers_that_no_time_tells_apart(path: Path) -> None:
    write(path, "a:1,trade,x,ann,,", "a:1,security,x,ann,,", "a:1,trade,x,ann,,")
    assert said(path) == [("a:1", "ann", "trade"), ("a:1", "ann", "security")]
    write(path, "a:1,trade,x,,,", "a:1,security,x,,,")
    with pytest.raises(UserError, match=r'line 3: a:1 is labelled "security", but .*line 2'):
        read_labels(path)
    write(path, "a:1,trade;security,x,,,", "a:1,trade; security,x,,,")
    assert len(read_labels(path)) == 1


def test_a_time_that_cannot_be_read_is_told_by_line(path: Path) -> None:
    write(path, "a:1,trade,x,ann,15/09/2025 10:00,")
    with pytest.raises(UserError, match=r'line 2: "15/09/2025 10:00" is no ISO 8601 time'):
        read_lines(path)


def answers(*cells: str) -> list[Label]:
    return [Label(f"line {n}", "a:1", cell, "", f"who{n}") for n, cell in enumerate(cells)]


@pytest.mark.parametrize(
    ("cells", "winner", "why"),
    [
        (["security", "security"], "security", "agreed"),
        (["security", "trade", "security"], "security", "majority"),
        # Two of three name security first; what else they say is less.
        (["security;trade", "trade", "security;technology"], "security;trade", "tie"),
        (["security;trade", "trade", "security"], "security", "tie"),
        (["security", "trade"], "trade", "tie"),  # the codebook's order
        (["", "security"], "security", "tie"),  # none of the topics comes last
        (["", "", "security"], "", "majority"),
        (["elsewhere", ""], "elsewhere", "tie"),
    ],
)
def test_which_of_several_answers_counts(
    topics: Topics, cells: list[str], winner: str, why: str
) -> None:
    for seed in range(5):
        given_answers = answers(*cells)
        random.Random(seed).shuffle(given_answers)
        found, reason = resolve(given_answers, topics)
        assert (found.cell, reason) == (winner, why)


def merged(path: Path, topics: Topics, new: Sequence[Label], name: str = "file") -> Merged:
    return merge(path, new, name, {f"a:{n}": n for n in range(3)}, topics)


def test_a_merge_keeps_what_is_there_and_tells_what_is_in_dispute(
    path: Path, topics: Topics
) -> None:
    header = "paragraph,topics,mine,text"
    write(path, 'a:2,trade,"my, own",Tariffs', "a:1,?,,Undecided", header=header)
    before = path.read_bytes()
    new = [
        Label("f, line 2", "a:2", "security", "Tariffs"),
        Label("f, line 3", "a:2", "trade", "Tariffs"),  # stands there as it is
        Label("f, line 4", "a:1", "", "Undecided", "bo", EARLY, "why"),
    ]
    done = merged(path, topics, new)
    assert (done.added, done.known) == (2, 1)
    assert done.disputes == [
        "a:2 – nobody named: trade; file: security → "
        "trade counts (a tie: the first in the codebook)"
    ]
    assert path.read_text(encoding="utf-8").splitlines() == [
        "paragraph,topics,mine,text,annotator,when,note",
        'a:2,trade,"my, own",Tariffs,,,',
        "a:1,?,,Undecided,,,",
        f"a:1,,,Undecided,bo,{EARLY},why",
        "a:2,security,,Tariffs,file,,",
    ]
    assert path.with_name("labels.csv.bak").read_bytes() == before
    again = path.read_bytes()
    assert merged(path, topics, new).added == 0
    assert path.read_bytes() == again
    assert path.with_name("labels.csv.bak").read_bytes() == before


def test_one_annotator_who_changed_their_mind_is_told(path: Path, topics: Topics) -> None:
    merged(path, topics, [Label("f", "a:1", "trade", "", "ann", EARLY)])
    done = merged(path, topics, [Label("f", "a:1", "security", "", "ann", LATE)])
    assert done.disputes == ["a:1 – ann: trade, then security → security counts (the latest)"]


LINES = st.builds(
    Label,
    st.just("file"),
    st.sampled_from(["a:0", "a:1", "a:9"]),
    st.sampled_from(["trade", "security;trade", "", "?"]),
    st.just("words"),
    st.sampled_from(["", "ann", "bo"]),
    st.sampled_from(["", EARLY, LATE]),
    st.sampled_from(["", "a, note"]),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(LINES, max_size=6), st.lists(LINES, max_size=6))
def test_the_order_of_merges_does_not_matter_and_no_line_is_lost(
    tmp_path_factory: pytest.TempPathFactory, topics: Topics, one: list[Label], other: list[Label]
) -> None:
    found = []
    for files in ((("a", one), ("b", other)), (("b", other), ("a", one))):
        path = write(tmp_path_factory.mktemp("x") / "labels.csv", "a:1,trade,words,,,")
        for name, lines in (*files, *files):
            merged(path, topics, lines, name)
        found.append(path.read_bytes())
        kept = {line.key for line in read_lines(path)}
        for name, lines in files:
            for line in lines:
                named = (*line.key[:2], line.annotator or name, *line.key[3:])
                assert line.key in kept or named in kept
    assert found[0] == found[1]


def test_a_line_that_is_appended_has_its_time_and_stands_at_the_end(path: Path) -> None:
    write(path, "a:1,trade,x", header="paragraph,topics,text", end="")  # no line end, as before
    append(path, Label("", "a:2", "security", "Two\nlines", "ann", note='a "note"'))
    written = append(path, Label("", "a:2", "?", "Two lines", "ann"))
    lines = read_lines(path)
    assert [(line.paragraph, line.cell, line.text, line.note) for line in lines] == [
        ("a:1", "trade", "x", ""),
        ("a:2", "security", "Two lines", 'a "note"'),
        ("a:2", "?", "Two lines", ""),
    ]
    assert lines[1].time < lines[2].time and lines[2].when == written.when
    assert said(path) == [("a:1", "", "trade")]


def test_the_clock_may_go_back(path: Path) -> None:
    write(path, "a:1,trade,x,ann,2999-01-01,")
    append(path, Label("", "a:1", "security", "x", "ann"))
    assert said(path) == [("a:1", "ann", "security")]


def test_a_line_that_was_cut_off_anywhere_is_left_out_and_repaired(path: Path) -> None:
    write(path, "a:1,trade,x,,,")
    append(path, Label("", "a:2", "trade;security", 'Said "so", twice', "ann", note="n"))
    whole = path.read_bytes()
    start = whole.index(b'"a:2"')
    for cut in range(start + 1, len(whole)):
        path.write_bytes(whole[:cut])
        found = [line.paragraph for line in read_lines(path)]
        # Where only the line end or the note is missing, who said what is there.
        known = cut in (len(whole) - len("\n"), len(whole) - len('"n"\n'))
        assert found == (["a:1", "a:2"] if known else ["a:1"]), whole[start:cut]
        append(path, Label("", "a:3", "trade", "y", "ann"))
        assert [line.paragraph for line in read_lines(path)] == [*found, "a:3"]


def test_a_last_line_by_hand_without_a_line_end_counts(path: Path) -> None:
    write(path, "a:1,trade,x", end="")
    assert said(path) == [("a:1", "", "trade")]
