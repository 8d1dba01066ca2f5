"""What users' code and commands get: of projects, and of arrays."""
