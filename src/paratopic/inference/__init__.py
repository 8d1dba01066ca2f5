"""Prediction with a model's folder, without any training code."""
