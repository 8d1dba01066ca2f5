"""From a model's folder to predictions, without any training code."""
