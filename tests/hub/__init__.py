"""A small server that speaks the protocol of the Hugging Face hub, with faults on demand."""
