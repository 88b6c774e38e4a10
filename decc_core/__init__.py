"""DECC: where to cut a neural network between an edge device and the cloud."""

__version__ = "0.1.0"
