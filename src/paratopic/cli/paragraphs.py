"""The command `paratopic paragraphs`: lines for labels.csv."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from paratopic.cli.predict import TABLES, Files, article_files, read_article
from paratopic.labels.log import cell_of, first_words
from paratopic.project.errors import UserError
from paratopic.reading.article import paragraphs_of
from paratopic.tables.cells import LineFeeds


def paragraphs(paths: Files) -> None:
    """Print lines for seeds/labels.csv; replace each "?" with the paragraph's topics."""
    writer = csv.writer(LineFeeds(sys.stdout))
    names: set[str] = set()
    for path in article_files(paths):
        if Path(path).suffix.lower() in TABLES:
            raise UserError(
                f"{path} is a table: list it in prepare.sources of params.yaml, where a column may "
                "have its labels"
            )
        article = read_article(path)
        if article.name in names:
            raise UserError(
                f"{path}: another file is also named {article.name}; rename one of them, because "
                "paragraph ids begin with the name"
            )
        names.add(article.name)
        for paragraph in paragraphs_of(article):
            writer.writerow([paragraph.id, cell_of(None), first_words(paragraph.text)])
