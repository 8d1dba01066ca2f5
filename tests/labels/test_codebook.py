"""What changes of the codebook make of labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.labels.answers import disputes, merge, read_answers
from paratopic.labels.codebook import unfinished
from paratopic.labels.join import join_labels
from paratopic.labels.log import Label, append, line_of, read_lines, rewrite
from paratopic.project.codebook import Change
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics
from tests.labels.lines import answers_in, write
from tests.samples import paragraph_table

RENAME = Change("rename", ("security",), ("defence",))
SPLIT = Change("split", ("security",), ("army", "navy"))
DROP = Change("drop", ("security",))


def log_of(path: Path, *items: Change | tuple[str, str, str]) -> Path:
    """A log of changes and of answers: paragraph, cell, annotator, in their order in time."""
    for item in items:
        line = line_of(item) if isinstance(item, Change) else Label("x", *item[:2], "", item[2])
        append(path, line)
    return path


def again_in(path: Path) -> dict[str, tuple[str, ...]]:
    return {id_: why.topics for id_, why in read_answers(read_lines(path)).again.items()}


def test_renamed_and_merged_topics_count_under_their_new_name(path: Path) -> None:
    log_of(
        path,
        ("a:1", "security;trade;technology", "ann"),
        ("a:2", "technology", "ann"),
        RENAME,
        Change("merge", ("defence", "technology"), ("defence",)),
        ("a:3", "technology", "ann"),  # a mistake: this topic is no more
    )
    assert answers_in(path) == [
        ("a:1", "ann", "defence;trade"),
        ("a:2", "ann", "defence"),
        ("a:3", "ann", "technology"),
    ]
    assert again_in(path) == {}
    with pytest.raises(UserError, match='line 6: unknown topic "technology"'):
        frame = paragraph_table(id=["a:1", "a:2", "a:3"], text=["x", "y", "z"])
        topics = Topics("multi", ("defence", "trade"))
        join_labels(frame, read_answers(read_lines(path)).answers, topics, "leave_out")


@pytest.mark.parametrize(("change", "into"), [(SPLIT, ("army", "navy")), (DROP, ())])
def test_paragraphs_of_a_topic_that_is_gone_are_to_be_looked_at_again(
    path: Path, change: Change, into: tuple[str, ...]
) -> None:
    log_of(path, ("a:1", "trade;security", "ann"), ("a:2", "trade", "ann"), change)
    before = path.read_bytes()
    assert answers_in(path) == [("a:2", "ann", "trade")]
    assert again_in(path) == {"a:1": into}
    log_of(path, ("a:1", "", "bo"))
    assert answers_in(path) == [("a:2", "ann", "trade"), ("a:1", "bo", "")]
    assert again_in(path) == {}
    log_of(path, ("a:1", "?", "bo"))  # taken back: it is open again
    assert answers_in(path) == [("a:2", "ann", "trade")] and again_in(path) == {"a:1": into}
    assert path.read_bytes().startswith(before)


def test_a_topic_that_stays_after_a_split_is_open_too(path: Path) -> None:
    stays = Change("split", ("security",), ("security", "navy"))
    log_of(path, ("a:1", "security", "ann"), stays)
    assert answers_in(path) == [] and again_in(path) == {"a:1": ("security", "navy")}
    log_of(path, ("a:1", "security", "ann"))
    assert answers_in(path) == [("a:1", "ann", "security")] and again_in(path) == {}


def test_other_annotators_answers_wait_for_the_new_one(path: Path) -> None:
    log_of(path, ("a:1", "security", "ann"), ("a:1", "trade", "bo"), SPLIT)
    assert answers_in(path) == [] and again_in(path) == {"a:1": ("army", "navy")}
    log_of(path, ("a:1", "navy", "ann"))
    assert sorted(answers_in(path)) == [("a:1", "ann", "navy"), ("a:1", "bo", "trade")]


def test_what_was_replaced_or_taken_back_before_a_change_is_not_open(path: Path) -> None:
    log_of(
        path,
        ("a:1", "security", "ann"),
        ("a:1", "trade", "ann"),
        ("a:2", "security", "ann"),
        ("a:2", "?", "ann"),
        SPLIT,
    )
    assert answers_in(path) == [("a:1", "ann", "trade")] and again_in(path) == {}


def test_changes_follow_each_other(path: Path) -> None:
    log_of(path, ("a:1", "security", "ann"), ("a:2", "trade", "ann"), RENAME)
    log_of(path, Change("split", ("defence",), ("army", "navy")), ("a:1", "navy", "ann"))
    log_of(path, Change("rename", ("navy",), ("sea",)), Change("rename", ("trade",), ("navy",)))
    assert answers_in(path) == [("a:1", "ann", "sea"), ("a:2", "ann", "navy")]
    log_of(
        path, Change("merge", ("sea", "navy"), ("both",)), Change("split", ("both",), ("c", "d"))
    )
    log_of(path, Change("rename", ("c",), ("e",)))
    assert answers_in(path) == [] and again_in(path) == dict.fromkeys(["a:1", "a:2"], ("e", "d"))


def test_a_line_without_a_time_is_before_the_changes_below_it(path: Path) -> None:
    write(path, "a:1,security,x,ann,,,", "a:2,security,x,,,,")
    log_of(path, Change("split", ("security",), ("security", "navy")))
    with path.open("a", encoding="utf-8") as file:
        file.write("a:3,security,x,ann,,,\na:0,security,x,,,,\n")
    todo = dict.fromkeys(["a:1", "a:2"], ("security", "navy"))
    assert again_in(path) == todo
    order = {f"a:{number}": number for number in range(4)}
    new = [Label("sheet", "a:1", "navy", "x"), Label("sheet", "a:3", "security", "x")]
    merge(path, new, "ann", order, Topics("single", ("security", "navy")))
    assert again_in(path) == {"a:2": ("security", "navy")}
    assert ("a:1", "ann", "navy") in answers_in(path)


def test_an_answer_with_a_time_counts_by_it_wherever_it_stands(path: Path) -> None:
    log_of(path, ("a:1", "trade", "ann"), RENAME)
    early = Label("x", "a:2", "security", "", "bo", "2020-01-01")
    lines = [*read_lines(path), early]
    assert [answer.cell for answer in read_answers(lines).answers] == ["trade", "defence"]
    # A change is later than all lines, also of clocks that are ahead, and so are answers to it.
    rewrite(path, [], [replace(early, when="2999-01-01")])
    log_of(path, RENAME, ("a:2", "navy", "ann"))
    times = [line.time for line in read_lines(path)]
    assert times == sorted(set(times))


def test_a_change_is_a_line_that_people_read_and_older_programs_refuse(path: Path) -> None:
    log_of(path, ("a:1", "security", "ann"), Change("merge", ("security", "trade"), ("x, y",)))
    line = path.read_text(encoding="utf-8").splitlines()[-1]
    assert line.startswith(
        '"codebook: merge","security;trade;;x, y","security, trade are merged into x, y","","2'
    )
    # As "neither a positive number nor article": the column drawn of an answer has no words.
    assert line.endswith('"","codebook"')


def test_disputes_are_told_in_todays_names(path: Path) -> None:
    log_of(path, ("a:1", "security", "ann"), RENAME, ("a:1", "defence", "bo"))
    topics = Topics("single", ("defence", "trade"))
    assert disputes(read_lines(path), ["a:1"], topics) == []
    log_of(path, ("a:1", "trade", "cy"))
    (message,) = disputes(read_lines(path), ["a:1"], topics)
    assert "ann: defence; bo: defence; cy: trade → defence counts" in message


def test_a_change_that_params_lacks_is_explained(path: Path) -> None:
    before, after = Topics("single", ("security", "trade")), Topics("single", ("defence", "trade"))
    log_of(path, ("a:1", "security", "ann"), RENAME)
    lines = read_lines(path)
    assert unfinished(lines, before) == (
        f"{path}, line 3: security is renamed to defence, but not in params.yaml: run `paratopic "
        "codebook rename security defence` again to finish the change"
    )
    assert unfinished(lines, after) == "" and unfinished(lines[:1], before) == ""
    log_of(path, Change("drop", ("defence",)))
    assert "codebook drop defence`" in unfinished(read_lines(path), after)
    log_of(path, ("a:1", "defence", "ann"))  # somebody has made a topic of this name
    assert unfinished(read_lines(path), after) == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("codebook: rename,a;;b,x,,,,codebook", "line 2: a change of the codebook needs a time"),
        ("codebook: rename,a,x,,2025-01-01,,codebook", r'line 2: "a" is no change of the codebook'),
        ("a:1,a;;b,x,,2025-01-01,,codebook", '"codebook" in the column drawn is neither'),
    ],
)
def test_damaged_changes_are_refused(path: Path, line: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_lines(write(path, line))


TOPICS = ["a", "b", "c", "d"]
ANSWERS = st.tuples(
    st.sampled_from(["p:1", "p:2", "p:3"]),
    st.lists(st.sampled_from(TOPICS), unique=True, max_size=3).map(";".join) | st.just("?"),
    st.sampled_from(["ann", "bo"]),
)
STEPS = st.sampled_from(["rename", "merge", "split", "stays", "drop"])


def change_of(step: str, names: list[str], number: int) -> Change:
    """A change of the topics that are there."""
    new = f"new{number}"
    make: dict[str, Callable[[], Change]] = {
        "rename": lambda: Change("rename", (names[0],), (new,)),
        "merge": lambda: Change("merge", (names[0], names[1]), (new,)),
        "split": lambda: Change("split", (names[0],), (new, f"{new}b")),
        "stays": lambda: Change("split", (names[0],), (names[0], new)),
        "drop": lambda: Change("drop", (names[0],)),
    }
    return make[step]()


@settings(max_examples=150)
@given(st.lists(ANSWERS | STEPS, max_size=12), st.randoms(use_true_random=False))
def test_no_paragraph_with_an_answer_is_lost(items: list[object], rng: Random) -> None:
    names = list(TOPICS)
    lines: list[Label] = []
    for number, item in enumerate(items):
        before = read_answers(lines)
        when = f"2025-01-01T00:00:{number:02}"
        if isinstance(item, tuple):
            paragraph, cell, annotator = item
            lines.append(Label(f"line {number}", paragraph, cell, "", annotator, when))
            continue
        rng.shuffle(names)
        if len(names) < 3 and item in ("merge", "drop"):
            continue
        change = change_of(str(item), names, number)
        lines.append(replace(line_of(change), when=when))
        names = list(change.become(names))
        after = read_answers(lines)
        labelled, was = ({a.paragraph for a in r.answers} for r in (after, before))
        assert labelled | after.again.keys() == was | before.again.keys()
        assert not labelled & after.again.keys()
        if item in ("rename", "merge"):
            assert labelled == was
