"""Prometheus metrics of the operator; what they count is said in their help texts."""

from prometheus_client import Counter, Gauge, Histogram

API_CALLS = Counter("qmodel_api_calls", "Requests to the API server.", ["verb", "resource"])
RECONCILES = Counter("qmodel_reconciles", "Passes over one model, by how they ended.", ["outcome"])
RECONCILE_SECONDS = Histogram("qmodel_reconcile_seconds", "Duration of one pass over one model.")
QUEUE_DEPTH = Gauge("qmodel_queue_depth", "Models that wait for a pass.")
MODELS = Gauge("qmodel_models", "QuantizedModels by the stage they are in.", ["stage"])
