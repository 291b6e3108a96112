"""What the operator knows of each engine: arguments, ports and paths. Pure, and shared by all."""
