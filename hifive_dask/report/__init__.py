"""The quality report of a project: numbers, verdicts on them, pictures, and one page of all."""
