"""Stage prepare: tables of paragraphs, votes, labels, the sample and metadata from the sources."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from typing import NamedTuple

import pandas as pd

from paratopic.corpus.boilerplate import is_boilerplate
from paratopic.corpus.labelled import (
    LABELS_SCHEMA,
    SAMPLE_SCHEMA,
    VOTES_SCHEMA,
    WEAK_SCHEMA,
    weak_votes,
    with_labels,
    with_sample,
)
from paratopic.corpus.table import PARAGRAPHS_SCHEMA, describe_size, write_columns, write_metadata
from paratopic.labels.log import backup, read_lines
from paratopic.labels.resolve import Resolved, check_meanings, resolve
from paratopic.labels.summary import Prepared, describe_labels, summarise
from paratopic.project import errors, files
from paratopic.project.folder import Project, run_stage
from paratopic.project.languages import choose_encoder
from paratopic.reading.article import Skipped
from paratopic.reading.outside import refuse_untrusted, trust
from paratopic.reading.sources import (
    Sources,
    describe_reading,
    digests_of,
    read_sources,
    summary_of,
)


class Outputs(NamedTuple):
    """The paragraphs; the votes and labels that count; the sources as read; and prepare.json."""

    paragraphs: pd.DataFrame
    resolved: Resolved
    sources: Sources
    report: Prepared


def prepare(project: Project) -> Outputs:
    """Read all sources, even untrusted, and decide which votes and labels count; write no file."""
    params, log, paths = project.params, project.log, project.paths
    topics, settings = params.topics, params.prepare
    digests: dict[str, str] = {}
    # Digests come first, so that a file that changes while it is read counts as changed since.
    # `read_sources` reports unreadable files.
    with suppress(errors.UserError):
        digests = digests_of(paths, settings.sources, *([log] if log else []))
    lines = read_lines(log) if log else []
    check_meanings(settings.sources, topics)
    own_files = [log.resolve(), backup(log.resolve())] if log else []
    sources = read_sources(paths, settings.sources, own_files, settings.no_topic)
    articles = sources.articles if settings.skip_boilerplate else ()
    paragraphs = sources.frame.assign(boilerplate=is_boilerplate(sources.frame, articles))
    resolved = resolve(paragraphs, sources.votes, lines, params, sources.metadata)
    frame = with_sample(with_labels(paragraphs, resolved.labels), resolved.sample)
    boilerplate = int(paragraphs["boilerplate"].sum())
    encoders, encoder_notes = _encoders(project, list(paragraphs["text"]))
    about_sources = {**summary_of(sources), "boilerplate": boilerplate, "read": digests}
    notes, about = [*sources.notes, *encoder_notes], {**about_sources, "encoders": encoders}
    report = summarise(frame, resolved, topics, notes, about)
    return Outputs(paragraphs, resolved, sources, report)


def _encoders(project: Project, texts: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Kind → its encoder, "" for none, chosen by `texts` if auto; and notes on the choices."""
    previous: dict[str, str] = {}
    with suppress(errors.UserError):  # there is no report before the first run
        previous = Prepared.load(project.paths.prepared).encoders
    settings = project.params.encoders.items()
    chosen = {kind: choose_encoder(name, texts, previous.get(kind, "")) for kind, name in settings}
    reasons = [reason for _, reason in chosen.values() if reason]
    return {kind: encoder for kind, (encoder, _) in chosen.items()}, reasons


def main(project: Project) -> None:
    """Refuse untrusted sources; write the results of `prepare`, trust the project, print counts."""
    params, paths = project.params, project.paths
    refuse_untrusted(project)
    outputs = prepare(project)
    write_columns(outputs.paragraphs, PARAGRAPHS_SCHEMA, paths.paragraphs)
    resolved, report = outputs.resolved, outputs.report
    write_columns(resolved.votes, VOTES_SCHEMA, paths.votes)
    write_columns(resolved.labels, LABELS_SCHEMA, paths.labels)
    write_columns(resolved.sample, SAMPLE_SCHEMA, paths.sample)
    write_columns(weak_votes(resolved.votes), WEAK_SCHEMA, paths.weak)
    write_metadata(outputs.sources.metadata, paths.metadata)
    skipped, columns = outputs.sources.skipped, [field.name for field in fields(Skipped)]
    files.write_csv(paths.skipped, pd.DataFrame(skipped, columns=columns))
    report.save(paths.prepared)
    with suppress(OSError):
        trust(project)  # a person who runs the pipeline trusts the project
    lines = [describe_size(outputs.paragraphs), *describe_labels(report)]
    lines += describe_reading(report.metadata, report.articles, report.boilerplate, skipped)
    lines += [f"note: {message}" for message in report.messages]
    print(*(errors.in_units(line, params.unit) for line in lines), sep="\n")


if __name__ == "__main__":
    run_stage(main)
