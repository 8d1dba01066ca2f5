"""What to label next, and where people do it."""
