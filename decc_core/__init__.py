"""DECC: where to cut a neural network between an edge device and the cloud.

Scripts and notebooks begin with `import decc_core.api as decc`; this package itself imports nothing.
"""

__version__ = "0.1.0"
