"""Hostile models, one trick each, and the refusal that each must meet."""
