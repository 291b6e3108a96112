"""The official client, as the operator's image has it: not at all."""

raise ImportError(__name__)
