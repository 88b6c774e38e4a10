"""What a network is: layers, tensors, branches, and pieces of work on resources."""
