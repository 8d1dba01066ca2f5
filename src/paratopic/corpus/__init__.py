"""The paragraph table and its folds."""
