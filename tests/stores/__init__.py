"""Real servers that models come from: one that speaks S3, one registry, and faults before them."""
