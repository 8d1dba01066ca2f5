"""What a project found: shares of topics, where answers are worse, labels to check, pages of it."""
