"""QuantizedModel operator: from one resource to a served, quantized LLM."""
