"""The demo: from nothing to a chat answer of a model that was quantized before one's eyes."""
