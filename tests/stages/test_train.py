"""Which languages a model is for, and what is said about texts that it cannot read."""

from __future__ import annotations

from paratopic.stages.train import languages_of
from tests.samples import BODIES, GERMAN


def test_languages_are_those_of_the_encoder_or_else_of_what_is_learnt_from() -> None:
    assert languages_of(BODIES, (), ["en"]) == (["en"], "")
    assert languages_of([*BODIES, GERMAN], (), []) == (("en", "de"), "")
    assert languages_of([], (), []) == ((), "")
    languages, note = languages_of([*BODIES, GERMAN], (), ["en"])
    assert languages == ["en"] and note == (
        "1 of 4 labelled paragraphs seems to be German, but the encoder reads English: "
        "set transformer.encoder to one that reads them"
    )
    # Without labels, definitions are what is learnt from.
    german = (GERMAN, f"Am Abend: {GERMAN}")
    assert languages_of([], german, []) == (("de",), "")
    note = "2 of 2 definitions seem to be German, but the encoder reads English"
    assert note in languages_of([], german, ["en"])[1]
