"""A page of one or more models, as one HTML file."""
