"""From a wish to the Kubernetes object: pure builders."""
