"""The paragraph table, its near-duplicates, its labelled rows, and the folds of these."""
