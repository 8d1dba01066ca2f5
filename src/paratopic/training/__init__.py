"""What fitting the two models has in common."""
