"""The kinds of model, with one entry for each, which names the modules that fit and load it.

These modules are imported only when they are needed, so that prediction never loads training. A new
kind needs an entry at its place in the order of simplicity, and the modules that the entry names.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Parameters
    ----------
    name
        Name in `models` of params.yaml, and of the kind's section there.
    title
        Description of the kind in a few words.
    settings
        ``module:name`` of the dataclass of its section in params.yaml.
    fit
        ``module:name`` of the function that fits it, with the parameters of `baseline.fit.fit`.
    classifier
        ``module:name`` of the class that predicts from a model's folder, an
        `inference.model.Classifier`.
    colour, night_colour
        Colours in pictures, on a light and on a dark page.
    curve, no_curve
        Sentences for the report on the curve of training, and on reasons for its absence.
    packages
        Further packages whose versions the model card lists. Default: only those of every kind.
    uses_unlabelled
        Whether it is also trained on the pool, whose size is its setting `unlabelled`. Default: no.
    is_parallel
        Whether one fit uses all processors. Default: no; folds are fitted at the same time.
    """

    name: str
    title: str
    settings: str
    fit: str
    classifier: str
    colour: str
    night_colour: str
    curve: str
    no_curve: str
    packages: tuple[str, ...] = ()
    uses_unlabelled: bool = False
    is_parallel: bool = False


# The simplest kind comes first. The champion has to be better than each simpler model.
KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="baseline",
            title="TF-IDF and logistic regression",
            settings="paratopic.baseline.settings:Baseline",
            fit="paratopic.baseline.fit:fit",
            classifier="paratopic.inference.tfidf_model:BaselineClassifier",
            colour="#b45309",
            night_colour="#f0a860",
            curve="The loss is measured on inner folds. Of values of C with similar losses, the "
            "one with the highest macro-F1 is used.",
            no_curve="C is the middle one of baseline.strengths. It is not chosen if a text can "
            "have several topics, or if labels are too few to hold some out in the training part.",
        ),
        Kind(
            name="transformer",
            title="pretrained encoder and head",
            settings="paratopic.transformer.settings:Transformer",
            fit="paratopic.transformer.fit:fit",
            classifier="paratopic.inference.onnx_model:EncoderClassifier",
            colour="#1f5fbf",
            night_colour="#7fb0ff",
            curve="The loss is that of each step of the tuning.",
            no_curve="The encoder is used as it is, and only the head learns from labels and "
            "definitions: either transformer.epochs is 0, or there are no definitions and labels "
            "are too few, because tuning takes two paragraphs of one topic and one of another.",
            packages=(
                *("torch", "transformers", "sentence-transformers", "tokenizers"),
                *("onnx", "onnxruntime"),
            ),
            uses_unlabelled=True,
            is_parallel=True,
        ),
    )
}
