"""The codebook: names, order, and how labels are read and written."""

from __future__ import annotations

import pytest

from paratopic.project.errors import UserError
from paratopic.project.topics import NO_TOPIC, Topic, Topics, split_cell


def test_descriptions_are_what_comes_before_the_doubtful_cases_for_all_topics_or_none() -> None:
    topics = Topics("single", ("World", Topic("Sci/Tech", "Science.")))
    assert topics.names == ("World", "Sci/Tech")
    assert [topic.definition for topic in topics.topics] == ["", "Science."]
    trade = Topic("trade", "Goods. In: tariffs. Out: chips.")
    defined = Topics("single", (trade, Topic("security", "Armies.")))
    assert defined.descriptions == ("Goods.", "Armies.")
    assert Topics("single", (trade, "security")).descriptions == ()


@pytest.mark.parametrize(
    ("cell", "parsed"),
    [
        ("trade", ("trade",)),
        (" trade ;security; ", ("trade", "security")),
        ("", ()),
        ("trade;trade", ("trade",)),
    ],
)
def test_a_cell_is_read_without_spaces(topics: Topics, cell: str, parsed: tuple[str, ...]) -> None:
    assert topics.check(split_cell(cell), "here") == parsed


def test_an_unknown_topic_is_refused_with_the_closest_one(topics: Topics) -> None:
    with pytest.raises(UserError, match=r'labels.csv, line 3: unknown topic "trad".*"trade"\?'):
        topics.check(["security", "trad"], "labels.csv, line 3")


@pytest.mark.parametrize("name", ["", " trade", "a;b", "?", "a\nb", "a\x00", "\ud800"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a topic name"):
        Topic(name)


def test_a_bad_codebook_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        Topics("single", ("trade",))
    with pytest.raises(ValueError, match="twice: trade"):
        Topics("single", ("trade", "security", "trade"))
    with pytest.raises(ValueError, match="not a regular expression"):
        Topic("trade", heading="(")
    with pytest.raises(ValueError, match="not a regular expression"):
        Topic("trade", heading="a{99999999999}")
    goods = (Topic("trade", "Goods. In: tariffs."), Topic("tech", "Goods."))
    with pytest.raises(ValueError, match="trade and tech"):
        Topics("single", goods)
    assert Topics("single", (Topic("trade", "In: tariffs."), Topic("tech"))).descriptions == ()


def test_headings_match_in_upper_or_lower_case_in_the_order_of_the_codebook(topics: Topics) -> None:
    for heading, names in (
        ("Security and Trade", ["trade", "security"]),
        ("On national SECURITY", ["security"]),
        ("Conclusion", []),
    ):
        patterns = topics.patterns("heading").items()
        assert [name for name, pattern in patterns if pattern.matches(heading)] == names
    endless = Topics("single", (Topic("trade", "Trade.", "(a|aa)+$"), "security"))
    with pytest.raises(UserError, match='the heading pattern of "trade" takes more than 1 s'):
        endless.patterns("heading")["trade"].matches("a" * 60 + "!")


def test_a_pattern_that_is_slow_in_all_texts_together_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("paratopic.project.topics.LONGEST_SEARCHES", 0.2)
    slow = Topics("single", (Topic("trade", "Trade.", "", "(a|aa)+$"), "security"))
    pattern = slow.patterns("pattern")["trade"]
    with pytest.raises(UserError, match='the pattern of "trade" takes more than .* on all texts'):
        for _ in range(1000):
            pattern.matches("a" * 20 + "!")
    # A new search has the full time again.
    assert slow.patterns("pattern")["trade"].matches("aaa")


def test_an_accent_may_be_stored_in_either_form() -> None:
    one, two = "caf\u00e9", "cafe\u0301"
    topics = Topics("single", (Topic(two, was=("the\u0301",)), "security"))
    retired = Topics("single", ("a", "b"), {two: ()})
    assert retired.current_meaning([one]).retired == f"{one} was dropped"
    assert topics.names == (one, "security") and topics.topics[0].was == ("th\u00e9",)
    assert topics.check(split_cell(f"{two}; security"), "here") == (one, "security")


def test_labels_answer_one_question_or_one_of_each_topic() -> None:
    names = ("trade", "not trade")  # a topic can have the name of an outcome
    single, multi = Topics("single", names), Topics("multi", names)
    assert single.labels.questions(names) == (("trade", "not trade", NO_TOPIC),)
    assert multi.labels.questions(names) == (("not trade", "trade"), ("not not trade", "not trade"))
    assert (single.max_topics, single.outcomes) == (1, single.choices)
    assert (multi.max_topics, multi.outcomes) == (2, names)
    # This function does not refuse unknown names.
    assert multi.counted(["trade", "x", "y"]) == ("trade", "x", "y")


@pytest.mark.parametrize(
    ("definition", "clauses"),
    [
        ("U.S. trade, and tariffs; e.g. of NATO. Or others.", 3),
        ("Zölle, und Handel zwischen Ländern über Häfen. Kein Sport.", 3),
        ("关税、贸易协定，以及港口。", 3),
        ("التجارة، والرسوم الجمركية.", 2),
        ("ንግድ፣ ቀረጥ። ስምምነት።", 3),
    ],
)
def test_a_definition_has_clauses_in_any_script(definition: str, clauses: int) -> None:
    topics = Topics("single", (Topic("one", definition), Topic("other", "Rain.")))
    assert len(topics.clauses[0]) == clauses
