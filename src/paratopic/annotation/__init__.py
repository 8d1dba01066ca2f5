"""Suggest paragraphs to label, and exchange them with tools in which people label."""
