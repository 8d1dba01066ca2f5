"""The command line `paratopic`: its commands, and how a user's mistake is reported."""

from __future__ import annotations

import typer

from paratopic.cli.labels import import_labels, label, paragraphs, review, suggest
from paratopic.cli.predict import predict
from paratopic.cli.report import report
from paratopic.cli.sweep import sweep
from paratopic.project import errors

app = typer.Typer(
    help="Paragraph topics from few labels.", no_args_is_help=True, pretty_exceptions_enable=False
)
app.command()(predict)
app.command()(paragraphs)
app.command()(suggest)
app.command("import")(import_labels)
app.command()(label)
app.command()(report)
app.command()(review)
app.command()(sweep)


def main() -> None:
    """Entry point; a user's mistake is reported without a traceback."""
    errors.run(app)
