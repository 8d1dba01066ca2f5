"""What the rules of the codebook find: how much they cover, and where they are wrong.

A rule is a topic's `pattern`. What models learn from rules is for `weak`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from paratopic.corpus.table import WEAK, has_hand_label
from paratopic.corpus.weak import learn_sources
from paratopic.labels.weak import RULES, weak_answers
from paratopic.project.topics import Topics


@dataclass(frozen=True)
class RuleMatches:
    """What one rule finds.

    Parameters
    ----------
    topic
        The topic whose rule it is.
    covered
        Number of paragraphs in which it is found.
    overlaps
        Number of those in which the rule of another topic is found too. In mode single one of the
        two is wrong there.
    worth
        Row of `Sources.table`: how often it is right by hand labels. None where it finds nothing.
    wrong
        Id of each paragraph that people gave other topics → these topics.
    """

    topic: str
    covered: int
    overlaps: int
    worth: Mapping[Any, Any] | None
    wrong: Mapping[str, tuple[str, ...]]


def find_by_rules(
    frame: pd.DataFrame, topics: Topics, confidence: float = 0.95
) -> list[RuleMatches]:
    """Search all paragraphs for the pattern of each topic that has one.

    Parameters
    ----------
    frame
        Paragraph table.
    topics
        The codebook.
    confidence
        Confidence of the intervals; 0.95 by default.

    Returns
    -------
    What each rule finds, in the order of the codebook.

    Raises
    ------
    UserError
        A pattern takes too long.
    """
    column = weak_answers(frame, [], topics, set())
    of_rules = [
        [answer for answer in answers or () if answer["source"] == RULES] or None
        for answers in column
    ]
    column = pd.Series(of_rules, frame.index, dtype=object)
    worth = learn_sources(frame.assign(**{WEAK.name: column}), topics, confidence).table()
    worth_of = {row["topic"]: row for row in worth.to_dict("records")}
    named = [{name for answer in each or () for name in answer["topics"]} for each in of_rules]
    matches = []
    for topic in topics.topics:
        if not topic.pattern:
            continue
        of_topic = frame[[topic.name in names for names in named]]
        by_hand = of_topic[has_hand_label(of_topic)]
        labels = zip(by_hand["id"], map(topics.counted, by_hand["topics"]), strict=True)
        matches.append(
            RuleMatches(
                topic.name,
                len(of_topic),
                sum(topic.name in names and len(names) > 1 for names in named),
                worth_of.get(topic.name),
                {id_: given for id_, given in labels if topic.name not in given},
            )
        )
    return matches
