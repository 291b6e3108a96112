"""The models that the tests quantize: one real, one small and random."""
