"""Stage describe: the card and the Croissant file with which data/ is a dataset."""

from __future__ import annotations

from paratopic.corpus.table import read_paragraphs
from paratopic.labels.dataset import About, describe
from paratopic.project import errors
from paratopic.project.params import read_params
from paratopic.project.paths import CROISSANT, DATA, DATA_CARD, PARAGRAPHS
from paratopic.project.sources import path_of


def main() -> None:
    """Run the stage in the current directory."""
    params = read_params()
    sources = [path_of(source) for source in params.prepare.sources]
    about = About(PARAGRAPHS.stem, params.license, params.language, sources)
    describe(DATA, read_paragraphs(PARAGRAPHS), params.topics, about)
    print(f"{DATA} is a dataset: see {DATA_CARD} and {CROISSANT}")


if __name__ == "__main__":
    errors.run(main)
