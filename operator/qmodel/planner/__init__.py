"""Deciding: pure functions from what is observed to what to do."""
