"""Metrics of models with their intervals, the comparison of models, and the champion."""
