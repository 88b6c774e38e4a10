"""Networks that ONNX Runtime computes."""
