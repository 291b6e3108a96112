"""Why something that is asked cannot be."""

Problem = tuple[str, str]
"""A reason for programs, and a message that names the field and what would work."""
