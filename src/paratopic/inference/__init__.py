"""A model's folder becomes predictions, without any training code."""
