"""Labelled examples in the question to a language model, and that their labels leak nowhere."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paratopic.annotation.asking import expected_tokens
from paratopic.annotation.context import in_context
from paratopic.annotation.examples import Example, choose_examples
from paratopic.annotation.prompt import DEFAULT, Prompt, read_prompt
from paratopic.baseline import fit as baseline
from paratopic.baseline.settings import Baseline
from paratopic.corpus.folds import make_folds
from paratopic.corpus.labelled import Labelled
from paratopic.corpus.table import WEAK, labelled_rows, read_paragraphs, write_paragraphs
from paratopic.corpus.weak import learn_sources
from paratopic.labels.answers import of_weak_sources
from paratopic.labels.log import Label, read_lines
from paratopic.labels.weak import EXAMPLES, examples_of, join_weak, weak_answers
from paratopic.project.errors import UserError
from paratopic.project.paths import PARAGRAPHS
from paratopic.project.topics import ModeName, Topic, Topics
from paratopic.training.crossval import cross_validate
from tests.annotation.chat_server import Server, reply
from tests.programs import ROOT, run_cli
from tests.samples import paragraph_table

NAMES = ("trade", "security")
TOPICS = Topics("single", tuple(Topic(name, f"About {name}.") for name in NAMES))
LABELS = Path("seeds/labels.csv")
TEXTS = [
    ("tariffs on steel and timber rose again in March", "a", ["trade"]),
    ("tariffs on steel and timber rose again in April", "b", ["trade"]),
    ("the steel tariffs of last year", "c", ["trade"]),
    ("the navy sailed to the island", "d", []),
    ("tariffs on timber rose", "a", ["security"]),
    ("duties on timber rose", "e", None),
]


def frame_of(rows: list[tuple[str, str, list[str] | None]]) -> pd.DataFrame:
    texts, articles, topics = zip(*rows, strict=True)
    sources = ["none" if label is None else "hand" for label in topics]
    column = pd.Series(topics, dtype=object)
    return paragraph_table(text=texts, article=articles, topics=column, label_source=sources)


def test_examples_are_alike_and_from_other_articles() -> None:
    frame = frame_of(TEXTS)
    chosen = choose_examples(frame, TOPICS, list(frame["id"]), 2)
    assert {id_: [each.id for each in examples] for id_, examples in chosen.items()} == {
        "000": ["002", "003"],  # neither its near-duplicate in b, nor the one of its article
        "001": ["004", "002"],
        "002": ["000", "004"],  # of two near-duplicates one
        "003": ["002", "000"],
        "004": ["001", "002"],
        "005": ["004", "000"],
    }
    assert chosen["001"][0] == Example("004", "tariffs on timber rose", ("security",))
    assert choose_examples(frame.assign(label_source="none"), TOPICS, ["000"], 2) == {}
    assert choose_examples(frame.assign(article="a"), TOPICS, ["000"], 2) == {}


@pytest.mark.parametrize(
    ("mode", "answer"), [("single", '"topic": "none'), ("multi", '"topics": ["none')]
)
def test_examples_are_part_of_the_question_and_of_its_digest(
    mode: ModeName, answer: str, tmp_path: Path
) -> None:
    frame, topics = frame_of(TEXTS), Topics(mode, TOPICS.codebook)
    (item,) = in_context(frame, ["005"])
    without = Prompt(DEFAULT, topics)
    examples = {"005": (Example("003", "the navy sailed", ()),)}
    shown = Prompt(DEFAULT, topics, 1, examples)
    assert f"\n\nthe navy sailed\nAnswer: {{{answer} of the topics" in shown.about(item)
    assert "labelled:" not in without.about(item) and "\n\n\n" not in without.about(item)
    assert len({without.digest, shown.digest, Prompt(DEFAULT, topics, 2).digest}) == 3
    assert expected_tokens(shown, [item], 1)[0] > expected_tokens(without, [item], 1)[0]
    path = tmp_path / "prompt.md"
    path.write_text("$topics $paragraph", encoding="utf-8")
    with pytest.raises(UserError, match=r"the place of \$examples is missing"):
        read_prompt(path, topics, 1)


def copy(text: str, body: dict[str, Any], number: int) -> bytes:
    """Answer with the label of the first example."""
    question = body["messages"][0]["content"]
    shown = question.partition("people labelled:")[2]
    return reply(shown.partition("Answer: ")[2].partition("\n")[0])


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(copy)
    yield server
    server.close()


N_CLEAR, N_ODD, AROUND = 40, 20, 4


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """A project in which half of the labels follow from the text, and the others from nothing.

    Around each paragraph with a label by chance are some without, which have words with it in
    common that no other paragraph has: whoever copies its label tells what it is.
    """
    monkeypatch.chdir(tmp_path)
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    Path("params.yaml").write_text(params, encoding="utf-8")
    LABELS.parent.mkdir()
    LABELS.write_text("paragraph,topics,text,annotator\n", encoding="utf-8")
    rng = random.Random(0)
    rows: list[tuple[str, list[str] | None]] = []
    for number in range(N_CLEAR):
        topic = NAMES[number % 2]
        words = " ".join(f"{topic}{rng.randrange(6)}" for _ in range(6))
        rows.append((f"{words} day{number}", [topic]))
    for number in range(N_ODD):
        own = [f"{rng.randrange(10**6):06}q{part}" for part in range(4)]
        rows.append((" ".join([*own, "hall"]), [rng.choice(NAMES)]))
        for other in range(AROUND):
            rows.append((" ".join([*own[:3], f"case{other}", f"in{number}{other}"]), None))
    frame = frame_of([(text, f"a{n}", label) for n, (text, label) in enumerate(rows)])
    write_paragraphs(frame, PARAGRAPHS)
    return frame


def held_out_accuracy(column: pd.Series) -> float:
    """Share of the labels by chance that models predict which did not see them."""
    frame = read_paragraphs(PARAGRAPHS).assign(**{WEAK.name: column})
    frame = join_weak(frame, learn_sources(frame, TOPICS))
    rows = labelled_rows(frame, TOPICS)
    data = Labelled(rows, TOPICS, make_folds(rows, 5, 1, None, 0).table)
    section = Baseline((1, 2), (3, 5), (10.0,), 3)
    scores = cross_validate(
        data, lambda examples, seed, advance: baseline.fit(examples, TOPICS, section, seed), 0
    ).scores.set_index("id")
    odd = rows[(rows["label_source"] == "hand") & rows["text"].str.endswith("hall")]
    right = [
        scores.loc[id_, list(TOPICS.scores)].to_numpy().argmax() == NAMES.index(label[0])
        for id_, label in zip(odd["id"], odd["topics"], strict=True)
    ]
    return float(np.mean(right))


def test_whoever_copies_the_labels_of_examples_tells_models_nothing_of_them(
    server: Server, here: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["annotate", "--url", server.url, "--model", "m", "--examples", "1"]
    assert run_cli(monkeypatch, *words) == 0
    lines = of_weak_sources(read_lines(LABELS), ["llm-*"])
    assert len(lines) == len(here) and all(len(examples_of(line)) == 1 for line in lines)
    column = weak_answers(here, lines, TOPICS, set())
    forgotten = column.map(lambda answers: [answer | {"examples": None} for answer in answers])
    assert held_out_accuracy(forgotten) > 0.9  # it would be a leak
    assert held_out_accuracy(column) < 0.7  # 0.6, as without any answer


def test_an_answer_whose_example_has_lost_its_label_is_asked_again(
    server: Server, here: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["annotate", "--url", server.url, "--model", "m", "--examples", "2", "--n", "20"]
    assert run_cli(monkeypatch, *words) == 0
    lines = read_lines(LABELS)
    lost = examples_of(lines[0])[0]
    here.loc[here["id"] == lost, "label_source"] = "none"
    write_paragraphs(here, PARAGRAPHS)
    stale = {line.paragraph for line in lines if lost in examples_of(line)}
    assert run_cli(monkeypatch, *words[:-1], str(len(stale))) == 0
    again = read_lines(LABELS)[len(lines) :]
    assert stale - {lost} <= {line.paragraph for line in again}
    assert not any(lost in examples_of(line) for line in again)


def test_without_labels_in_other_articles_there_are_no_examples(
    server: Server,
    here: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    words = ["annotate", "--url", server.url, "--model", "m", "--examples", "1", "--estimate"]
    here["article"] = "a"
    write_paragraphs(here, PARAGRAPHS)
    assert run_cli(monkeypatch, *words) == 1
    assert "there are no --examples" in capsys.readouterr().out
    # Two more articles are enough for the paragraphs without a label in them.
    here.loc[here.index[-2:], "article"] = ["b", "c"]
    write_paragraphs(here, PARAGRAPHS)
    assert run_cli(monkeypatch, *words) == 0
    assert f"{len(here) - 2} paragraphs are asked about without examples" in caplog.text
    assert not server.asked


@pytest.mark.parametrize("cell", ["a:1", '{"a": 1}', "[1]", "[" * 100_000])
def test_examples_in_labels_csv_are_a_list_of_ids(cell: str) -> None:
    line = Label("line 2", "a:1", "trade", "", "llm-m", more=((EXAMPLES, cell),))
    with pytest.raises(UserError, match="line 2: .* is no list of ids"):
        examples_of(line)
