"""The commands `paratopic suggest` and `label`: which paragraphs, and the page to label them on."""

from __future__ import annotations

import logging
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from paratopic.annotation import exchange, labelling_page, suggestion
from paratopic.annotation.suggestion import Suggestion, in_context
from paratopic.cli.next_steps import (
    DRAW,
    check_out,
    name_of_user,
    next_steps,
    print_steps,
    read_texts,
)
from paratopic.cli.predict import ModelOption
from paratopic.corpus.labelled import LEAST_DRAWN, is_random
from paratopic.corpus.table import groups_by, texts_of
from paratopic.findings.wording import plan
from paratopic.inference.model import Model, load
from paratopic.labels.sample import LEAST_COVERED, n_texts
from paratopic.project.errors import UserError, in_short, plural
from paratopic.project.terminal import waiting
from paratopic.project.topics import NO_TOPIC
from paratopic.results.project import Labelling, Project

Sheet = Annotated[
    Path | None,
    typer.Argument(help="CSV or .xlsx with the paragraphs to label (from `paratopic suggest`)."),
]
Annotator = Annotated[str | None, typer.Option(help="Who labels; default: your login name.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes a free one.")]
Blinding = Annotated[
    bool | None,
    typer.Option(
        "--blind/--no-blind",
        help="Hide the model's predictions; default: hide them if paragraphs are drawn at random, "
        "or if others have labelled some of the sheet.",
    ),
]
Random = Annotated[
    bool, typer.Option("--random", help="Draw at random, so that the labels are a sample.")
]
Mixed = Annotated[
    bool,
    typer.Option("--mixed", help="Mix the model's suggestions with paragraphs drawn at random."),
]
Articles = Annotated[bool, typer.Option("--articles", help="With --random: draw whole articles.")]
By = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN[=VALUE]",
        help="With --random: draw from the values of a column, such as month, always next from "
        "the one with the fewest labels. source=Post draws from one value alone; repeat for "
        "several.",
    ),
]
Topic = Annotated[
    list[str] | None,
    typer.Option(
        "--topic",
        metavar="NAME",
        help="Look for a topic: the most probable paragraphs, in turn with some on the border; "
        "repeat for several.",
    ),
]
Contains = Annotated[
    str,
    typer.Option(
        metavar="TEXT",
        help="Only paragraphs that contain a text, or match a regular expression between slashes, "
        "in upper or lower case.",
        show_default=False,
    ),
]
# Why what the model thinks is hidden where labels are to measure it, and where it is not asked.
DRAWN = "paragraphs are drawn at random"
BY_TEXT = "paragraphs are chosen by their text alone"
# Values of a column that a message lists.
MOST_VALUES = 12
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Draw:
    """How the paragraphs to label are chosen: the options of `suggest` and `label`.

    Without `random` or `mixed`, all are what the model suggests.

    Raises
    ------
    UserError
        The options contradict each other.
    """

    random: bool = False
    mixed: bool = False
    articles: bool = False
    by: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    contains: str = ""

    @property
    def searches(self) -> bool:
        """Whether paragraphs are chosen by what they may be about or contain."""
        return bool(self.topics or self.contains)

    @property
    def asks_model(self) -> bool:
        """Whether a model chooses the paragraphs, or some of them."""
        return not self.random and bool(self.topics or not self.contains)

    @property
    def hides(self) -> str:
        """Why the model's predictions are hidden by default; "" where they are not."""
        if self.random or self.mixed:
            return DRAWN
        return "" if self.asks_model else BY_TEXT

    def __post_init__(self) -> None:
        if self.random and self.mixed:
            raise UserError("--random and --mixed cannot be used together; leave one out")
        if self.searches and (self.random or self.mixed):
            option, draw = ("--topic" if self.topics else "--contains"), "--random"
            raise UserError(
                f"{option} chooses paragraphs and {draw if self.random else '--mixed'} draws them; "
                "leave one out"
            )
        if self.articles and self.by:
            raise UserError("--articles and --by cannot be used together; leave one out")
        if (self.articles or self.by) and not self.random:
            option = "--articles" if self.articles else "--by"
            raise UserError(f"{option} says what to draw at random; add --random")


def suggest(
    n: Annotated[int, typer.Option(min=1, help="How many paragraphs.")] = 50,
    out: Annotated[
        Path | None,
        typer.Option(help="Write tasks for Label Studio (.json) or a spreadsheet (.csv, .xlsx)."),
    ] = None,
    model: ModelOption = None,
    blind: Blinding = None,
    random: Random = False,
    mixed: Mixed = False,
    articles: Articles = False,
    by: By = None,
    topic: Topic = None,
    contains: Contains = "",
) -> None:
    """Pick the unlabelled paragraphs that are most worth labelling next, or draw a sample.

    Without --out, they are printed as CSV. `paratopic label` opens them in a browser.
    """
    project = Project()
    if out is not None:
        check_out(project, out)
    draw = Draw(random, mixed, articles, tuple(by or ()), tuple(topic or ()), contains)
    read_texts(project)
    labelling = project.labelling
    hidden = _hides(project, blind, labelling.in_units(draw.hides))
    suggesting = _suggesting(project, draw, model, hidden)
    suggestions = _suggestions(project, n, draw, suggesting, hidden)
    if draw.topics:  # what the model thinks of these alone
        suggestions = [
            replace(item, scores={name: item.scores[name] for name in draw.topics if item.scores})
            for item in suggestions
        ]
    if out is None:
        sys.stdout.write(exchange.sheet(suggestions))
        return
    kind = suggesting.kind if suggesting and not hidden else ""
    written = exchange.write_tasks(out, suggestions, project.params.topics, kind)
    picked = labelling.in_units(plural(len(suggestions), "paragraph"))
    print(f"{picked} to label: {', '.join(map(str, written))}")
    if out.suffix != ".json":
        print(
            "Next: write the name of a topic, or none, in place of each ? in its column topics"
            f"{project.params.topics.labels.example}, then `paratopic import {out}`"
        )


def label(
    path: Sheet = None,
    n: Annotated[int, typer.Option(min=1, help="How many paragraphs, if no file is given.")] = 50,
    annotator: Annotator = None,
    port: Port = 8765,
    model: ModelOption = None,
    blind: Blinding = None,
    random: Random = False,
    mixed: Mixed = False,
    articles: Articles = False,
    by: By = None,
    topic: Topic = None,
    contains: Contains = "",
) -> None:
    """Label paragraphs by keyboard, on a page that only this machine can open."""
    draw = Draw(random, mixed, articles, tuple(by or ()), tuple(topic or ()), contains)
    if path is not None and draw != Draw():
        raise UserError(
            f"{path} already says which paragraphs to label; leave out either the file or "
            "--random, --mixed, --articles, --by, --topic and --contains"
        )
    project = Project()
    read_texts(project)
    labelling, name = project.labelling, name_of_user(annotator)
    labels = project.labels_file
    if not (path or random or mixed or labelling.labelled.by_hand.any()):
        log.warning("note: nothing is labelled yet. First label a random sample (`%s`)", DRAW)
    drawn = exchange.read_drawn(path, labelling.paragraphs) if path else {}
    reason = _reason_to_hide(labelling, drawn, name) if path else draw.hides
    hidden = _hides(project, blind, labelling.in_units(reason))
    suggesting = _suggesting(project, draw, model, hidden) if path is None or not hidden else None
    shown = None if hidden else suggesting
    # The model may read for a minute. The address is there before; a browser waits for the page.
    token = secrets.token_urlsafe(16)  # other users of this machine cannot guess the address
    with labelling_page.listen(port, token) as listener:
        if path is None:
            suggestions = _suggestions(project, n, draw, suggesting, hidden)
        else:
            suggestions = in_context(labelling.paragraphs, drawn, shown)
        session = labelling_page.Session(
            labels, name, suggestions, lambda: Project(project.folder).params.topics
        )
        if shown:
            session.explain = lambda id_: shown.explain(*texts_of(labelling.paragraphs, [id_]))
        labelling_page.serve(labelling_page.application(session, token), listener)
    print_steps(next_steps(Project(project.folder)))


def _suggesting(project: Project, draw: Draw, model: str | None, hidden: bool) -> Model | None:
    """The model that chooses paragraphs, or whose predictions are shown; None without need."""
    topics = project.params.topics
    topics.check(draw.topics, "--topic")
    if hidden and not draw.asks_model:
        return None
    suggesting = load(model)
    if lacking := [name for name in draw.topics if name not in suggesting.classes_]:
        raise UserError(
            f"--topic {lacking[0]}: the model in {suggesting.folder} does not know this topic; "
            "`dvc repro` trains it again"
        )
    if gone := [name for name in suggesting.classes_ if name not in topics.names]:
        log.warning(
            "note: the model still suggests topics that are no longer in the codebook: %s; "
            "`dvc repro` trains it again",
            ", ".join(gone),
        )
    return suggesting


def _suggestions(
    project: Project, n: int, draw: Draw, suggesting: Model | None, hidden: bool
) -> list[Suggestion]:
    """At least one suggestion, with what the model thinks unless that is hidden."""
    labelling = project.labelling
    groups = _groups(labelling, draw.by)
    with waiting("reading the unlabelled texts"):
        suggestions = _chosen(project, n, draw, groups, suggesting, hidden)
    if unread := project.unread:
        message = f"not read yet: {in_short(unread)}; `dvc repro prepare` reads new sources"
        if not suggestions:
            raise UserError(message)
        log.warning("note: %s", message)
    if not suggestions and draw.contains:
        none = labelling.in_units("no paragraph without a label contains it")
        raise UserError(f"--contains {draw.contains}: {none}")
    if not suggestions:
        labelled = "article has a labelled paragraph" if draw.articles else "paragraph has a label"
        labelled = "paragraph of these groups has a label" if draw.by else labelled
        labelled = labelling.in_units(labelled)
        paths = ", ".join(project.params.prepare.paths)
        n = int(labelling.paragraphs["boilerplate"].sum())
        but = f", but for {n:,} of boilerplate (prepare.skip_boilerplate)" if n else ""
        raise UserError(
            f"there is nothing left to label: every {labelled}{but}. Texts are read from {paths}, "
            "which prepare.sources of params.yaml names"
        )
    if draw.searches:
        log.warning(
            "note: %s are chosen, not drawn at random. Labels on them train models, and do not "
            "measure %s: labels that are drawn do, from %d on (`%s`)",
            labelling.in_units("these paragraphs"),
            ", ".join(draw.topics) or "topics",
            LEAST_DRAWN,
            DRAW,
        )
    _print_plan(project, groups, suggestions)
    return [replace(item, when=labelling.next_time) for item in suggestions]


def _chosen(
    project: Project,
    n: int,
    draw: Draw,
    groups: Mapping[str, set[str]],
    model: Model | None,
    hidden: bool,
) -> list[Suggestion]:
    """At most n paragraphs that are drawn, or suggested by a model, which may be hidden."""
    labelling, seed = project.labelling, project.params.seed
    frame, judged = labelling.paragraphs, set(labelling.answers_on)
    if draw.articles:
        drawn = suggestion.draw_articles(frame, judged, n, seed)
    elif groups:
        drawn = suggestion.draw_from_groups(frame, judged, groups, n, seed)
    elif draw.searches:
        drawn = suggestion.search(frame, judged, draw.contains, draw.topics, model, n, seed)
    elif draw.random or model is None:
        drawn = suggestion.draw_random(frame, judged, n, seed)
    else:
        again = {} if draw.mixed else dict.fromkeys([*labelling.retired][:n], "")
        drawn = suggestion.suggest(frame, judged | again.keys(), model, n - len(again), seed)
        if draw.mixed:
            drawn = suggestion.draw_mixed(frame, judged, drawn, n, seed)
        items = in_context(frame, again | drawn, None if hidden else model)
        return [replace(x, reason=labelling.retired[x.id] if x.id in again else "") for x in items]
    return in_context(frame, drawn, None if hidden else model)


def _groups(labelling: Labelling, wanted: Sequence[str]) -> dict[str, set[str]]:
    """Groups to draw from, ``"source=Post"`` → its texts: all of a column, or those named."""
    groups: dict[str, set[str]] = {}
    for name, equals, value in (each.partition("=") for each in wanted):
        (column,) = labelling.columns([name])
        of_column, group = groups_by(labelling.everything, column), f"{column}={value}"
        if equals and group not in of_column:
            values = [each.removeprefix(f"{column}=") for each in sorted(of_column)]
            raise UserError(
                f"--by {name}={value}: {labelling.in_units('no paragraph has this value')}; values "
                f"of {name} are {in_short(values, MOST_VALUES)}"
            )
        groups |= {group: of_column[group]} if equals else of_column
    least = LEAST_COVERED * n_texts(labelling.paragraphs)
    is_drawn = labelling.sample.drawn or any(x.is_decided and x.draw for x in labelling.lines)
    if groups and not is_drawn and len(set().union(*groups.values())) < least:
        log.warning(
            "note: nothing was drawn from the other %s, so these labels are no random sample yet; "
            "also label some of all (`%s`)",
            labelling.in_units("paragraphs"),
            DRAW,
        )
    return groups


def _print_plan(
    project: Project, groups: Mapping[str, set[str]], drawn: Sequence[Suggestion]
) -> None:
    """Say on stderr how wide the intervals of the groups that are drawn from will be."""
    if not groups:
        return
    hand = project.labelling.labelled.hand
    known = {*hand.rows["text"][is_random(hand.rows)]}
    new = {paragraph.text for paragraph in drawn}
    sizes = {
        name: (len(texts & known), len(texts & new), len(texts)) for name, texts in groups.items()
    }
    topics = {name: n / len(hand.rows) for name, n in hand.counts.items() if n and name != NO_TOPIC}
    largest = max(topics.items(), key=lambda topic: topic[1], default=None)
    lines = plan(sizes, largest, project.params.evaluate.confidence)
    print(*map(project.labelling.in_units, lines), sep="\n", file=sys.stderr)


def _hides(project: Project, blind: bool | None, reason: str) -> bool:
    """Whether to hide what the model thinks: as asked for, or else where there is a reason."""
    if blind is None and reason and project.paths.champion.exists():
        log.warning(
            "note: %s, so the model's predictions are hidden; --no-blind shows them", reason
        )
    return bool(reason) if blind is None else blind


def _reason_to_hide(labelling: Labelling, drawn: Mapping[str, str], annotator: str) -> str:
    """Why the annotator of a sheet is not to see what the model thinks; "" where there is none."""
    known = [line for line in labelling.current.answers if line.paragraph in drawn]
    if others := sorted({line.who for line in known if line.annotator != annotator}):
        return f"{', '.join(others)} labelled some of these paragraphs too"
    return DRAWN if any(drawn.values()) else ""
