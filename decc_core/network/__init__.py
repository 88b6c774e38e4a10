"""What a network is: layers, tensors, branches, and work on resources."""
