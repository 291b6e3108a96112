"""How good a quantized model is, beside the unquantized one."""
