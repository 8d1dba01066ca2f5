"""Results for users' code and commands: of projects, and of arrays."""
