"""Memory arithmetic and the choice of an accelerator: pure functions over plain values."""
