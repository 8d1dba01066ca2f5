"""Suggesting which paragraphs to label, and exchanging them with the tools where people label."""
