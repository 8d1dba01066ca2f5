"""A file of any format becomes paragraphs."""
