"""The paragraph table, near-duplicates in it, and the folds that its labelled rows are dealt to."""
