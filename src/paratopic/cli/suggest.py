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
from paratopic.annotation.suggestion import Suggestion, make_suggestions
from paratopic.cli.next_steps import DRAW, check_out, next_steps, print_steps, read_texts, user_name
from paratopic.cli.predict import ModelOption
from paratopic.corpus.labelled import LEAST_DRAWN, is_random
from paratopic.corpus.table import groups_by, passages_for
from paratopic.findings.wording import plan
from paratopic.inference.model import Model, load
from paratopic.labels.sample import LEAST_COVERED, n_texts
from paratopic.project.errors import UserError, plural, shortened_list
from paratopic.project.terminal import show_status
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
# Why predictions are hidden: the labels measure the model, or no model chose the paragraphs.
HIDDEN_BY_DRAW = "paragraphs are drawn at random"
HIDDEN_BY_SEARCH = "paragraphs are chosen by their text alone"
MOST_VALUES = 12  # Most values of a column that a message lists.
# Name of a group to draw from, such as "source=Post" → its texts.
Groups = Mapping[str, set[str]]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Draw:
    """How paragraphs are chosen, by default by a model; contradictory options are a UserError."""

    random: bool = False
    mixed: bool = False
    articles: bool = False
    by: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    contains: str = ""

    @property
    def is_search(self) -> bool:
        return bool(self.topics or self.contains)

    @property
    def needs_model(self) -> bool:
        """Whether a model chooses the paragraphs, or some of them."""
        return not self.random and bool(self.topics or not self.contains)

    @property
    def reason_to_hide(self) -> str:
        """Why the model's predictions are hidden by default; "" if they are shown."""
        if self.random or self.mixed:
            return HIDDEN_BY_DRAW
        return "" if self.needs_model else HIDDEN_BY_SEARCH

    def __post_init__(self) -> None:
        if self.random and self.mixed:
            raise UserError("--random and --mixed cannot be used together; leave one out")
        if self.is_search and (self.random or self.mixed):
            search = "--topic" if self.topics else "--contains"
            draw = "--random" if self.random else "--mixed"
            raise UserError(f"{search} chooses paragraphs and {draw} draws them; leave one out")
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
    hidden = _is_hidden(project, blind, labelling.in_units(draw.reason_to_hide))
    loaded = _load_model(project, draw, model, hidden)
    suggestions = _suggestions(project, n, draw, loaded, hidden)
    if draw.topics:
        for number, item in enumerate(suggestions):
            scores = {name: item.scores[name] for name in draw.topics if item.scores}
            suggestions[number] = replace(item, scores=scores)
    if out is None:
        sys.stdout.write(exchange.sheet(suggestions))
        return
    kind = loaded.kind if loaded and not hidden else ""
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
    labelling, name = project.labelling, user_name(annotator)
    labels = project.labels_file
    if not (path or random or mixed or labelling.labelled.by_hand.any()):
        log.warning("note: nothing is labelled yet. First label a random sample (`%s`)", DRAW)
    drawn, reason = {}, draw.reason_to_hide
    if path:
        drawn = exchange.read_drawn(path, labelling.paragraphs)
        reason = _reason_to_hide_in_sheet(labelling, drawn, name)
    hidden = _is_hidden(project, blind, labelling.in_units(reason))
    needs_model = path is None or not hidden
    loaded = _load_model(project, draw, model, hidden) if needs_model else None
    # The address is printed before the model reads the texts, because that may take a minute.
    token = secrets.token_urlsafe(16)  # Other users of this machine cannot guess the address.
    with labelling_page.listen(port, token) as listener:
        shown = None if hidden else loaded
        if path is None:
            suggestions = _suggestions(project, n, draw, loaded, hidden)
        else:
            suggestions = make_suggestions(labelling.paragraphs, drawn, shown)
        session = labelling_page.Session(
            labels, name, suggestions, lambda: Project(project.folder).params.topics
        )
        if shown:
            session.explain = lambda id_: shown.explain(*passages_for(labelling.paragraphs, [id_]))
        labelling_page.serve(labelling_page.application(session, token), listener)
    print_steps(next_steps(Project(project.folder)))


def _load_model(project: Project, draw: Draw, model: str | None, hidden: bool) -> Model | None:
    """Load a model if it chooses or is not hidden, else None; UserError for a topic it lacks."""
    topics = project.params.topics
    topics.check(draw.topics, "--topic")
    if hidden and not draw.needs_model:
        return None
    loaded = load(model)
    if unknown := [name for name in draw.topics if name not in loaded.classes_]:
        raise UserError(
            f"--topic {unknown[0]}: the model in {loaded.folder} does not know this topic; "
            "`dvc repro` trains it again"
        )
    if retired := [name for name in loaded.classes_ if name not in topics.names]:
        log.warning(
            "note: the model still suggests topics that are no longer in the codebook: %s; "
            "`dvc repro` trains it again",
            ", ".join(retired),
        )
    return loaded


def _suggestions(
    project: Project, n: int, draw: Draw, model: Model | None, hidden: bool
) -> list[Suggestion]:
    """Up to n suggestions, or whole articles, with predictions unless hidden; UserError if none."""
    labelling = project.labelling
    groups = _texts_by_group(labelling, draw.by)
    with show_status("reading the unlabelled texts"):
        suggestions = _draw_suggestions(project, n, draw, groups, model, hidden)
    if unread := project.unread:
        message = f"not read yet: {shortened_list(unread)}; `dvc repro prepare` reads new sources"
        if not suggestions:
            raise UserError(message)
        log.warning("note: %s", message)
    if not suggestions:
        raise _nothing_to_label(project, draw)
    if draw.is_search:
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


def _nothing_to_label(project: Project, draw: Draw) -> UserError:
    """Error for a draw that found nothing: no unlabelled text matches --contains or is left."""
    labelling = project.labelling
    if draw.contains:
        problem = labelling.in_units("no paragraph without a label contains it")
        return UserError(f"--contains {draw.contains}: {problem}")
    state = "paragraph has a label"
    if draw.by:
        state = "paragraph of these groups has a label"
    elif draw.articles:
        state = "article has a labelled paragraph"
    state = labelling.in_units(state)
    if n := int(labelling.paragraphs["boilerplate"].sum()):
        state += f", but for {n:,} of boilerplate (prepare.skip_boilerplate)"
    paths = ", ".join(project.params.prepare.paths)
    return UserError(
        f"there is nothing left to label: every {state}. Texts are read from {paths}, "
        "which prepare.sources of params.yaml names"
    )


def _draw_suggestions(
    project: Project, n: int, draw: Draw, groups: Groups, model: Model | None, hidden: bool
) -> list[Suggestion]:
    """Choose at most n unlabelled paragraphs, or more to complete an article, by the options.

    `groups` are those of --by. Without options, paragraphs whose labels are retired come first,
    with a reason, and then suggestions by the model. Predictions are left out if `hidden`.
    """
    labelling, seed = project.labelling, project.params.seed
    frame, voted = labelling.paragraphs, set(labelling.answers_on)
    retired: Mapping[str, str] = {}  # These paragraphs have to be labelled again, and come first.
    if draw.articles:
        drawn = suggestion.draw_articles(frame, voted, n, seed)
    elif groups:
        drawn = suggestion.draw_from_groups(frame, voted, groups, n, seed)
    elif draw.is_search:
        drawn = suggestion.search(frame, voted, draw.contains, draw.topics, model, n, seed)
    elif draw.random or model is None:
        drawn = suggestion.draw_random(frame, voted, n, seed)
    else:
        if not draw.mixed:
            retired = dict(list(labelling.retired.items())[:n])
        n_new = n - len(retired)
        drawn = suggestion.suggest(frame, voted | retired.keys(), model, n_new, seed)
        if draw.mixed:
            drawn = suggestion.draw_mixed(frame, voted, drawn, n, seed)
    drawn = dict.fromkeys(retired, "") | drawn
    suggestions = make_suggestions(frame, drawn, None if hidden else model)
    return [replace(item, reason=retired.get(item.id, "")) for item in suggestions]


def _texts_by_group(labelling: Labelling, by: Sequence[str]) -> Groups:
    """Group "source=Post" → its texts, by COLUMN or COLUMN=VALUE in `by`; UserError if unknown."""
    groups: dict[str, set[str]] = {}
    for option in by:
        name, equals, value = option.partition("=")
        (column,) = labelling.columns([name])
        column_groups, group = groups_by(labelling.everything, column), f"{column}={value}"
        if equals and group not in column_groups:
            values = [known.removeprefix(f"{column}=") for known in sorted(column_groups)]
            raise UserError(
                f"--by {name}={value}: {labelling.in_units('no paragraph has this value')}; values "
                f"of {name} are {shortened_list(values, MOST_VALUES)}"
            )
        groups |= {group: column_groups[group]} if equals else column_groups
    least = LEAST_COVERED * n_texts(labelling.paragraphs)
    n_drawn = sum(bool(line.is_decided and line.draw) for line in labelling.lines)
    is_drawn = bool(labelling.sample.drawn or n_drawn)
    if groups and not is_drawn and len(set().union(*groups.values())) < least:
        log.warning(
            "note: nothing was drawn from the other %s, so these labels are no random sample yet; "
            "also label some of all (`%s`)",
            labelling.in_units("paragraphs"),
            DRAW,
        )
    return groups


def _print_plan(project: Project, groups: Groups, drawn: Sequence[Suggestion]) -> None:
    """Print on stderr how wide intervals of `groups`, if any, will be once `drawn` has labels."""
    if not groups:
        return
    hand = project.labelling.labelled.hand_labelled
    known = {*hand.rows["text"][is_random(hand.rows)]}
    new = {paragraph.text for paragraph in drawn}
    sizes = {
        name: (len(texts & known), len(texts & new), len(texts))
        for name, texts in groups.items()
        if texts  # a group may have only boilerplate
    }
    topics = {name: n / len(hand.rows) for name, n in hand.counts.items() if n and name != NO_TOPIC}
    largest = max(topics.items(), key=lambda topic: topic[1], default=None)
    lines = plan(sizes, largest, project.params.evaluate.confidence)
    print(*map(project.labelling.in_units, lines), sep="\n", file=sys.stderr)


def _is_hidden(project: Project, blind: bool | None, reason: str) -> bool:
    """Whether to hide predictions: `blind`, or if None whether there is a reason (logged)."""
    if blind is None and reason and project.paths.champion.exists():
        log.warning(
            "note: %s, so the model's predictions are hidden; --no-blind shows them", reason
        )
    return bool(reason) if blind is None else blind


def _reason_to_hide_in_sheet(labelling: Labelling, drawn: Mapping[str, str], annotator: str) -> str:
    """Why predictions are hidden from the annotator of a sheet; "" if they are shown."""
    votes = [line for line in labelling.current.votes if line.paragraph in drawn]
    if others := sorted({line.who for line in votes if line.annotator != annotator}):
        return f"{', '.join(others)} labelled some of these paragraphs too"
    return HIDDEN_BY_DRAW if any(drawn.values()) else ""
