"""Networks that PyTorch computes."""
