"""A wish becomes a Kubernetes object: pure builders, one module a kind."""
