"""What runs inside Jobs: inspect, fetch, quantize, evaluate, measure and verify."""
