"""Files of any format become paragraphs."""
