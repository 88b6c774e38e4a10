"""DECC: where to cut a neural network between an edge device and the cloud.

Scripts and notebooks begin with `import decc_core.api as decc`; this package itself imports nothing of its own.
"""

import os

# Otherwise ONNX Runtime asks for its maker's host as soon as a network runs. Child processes inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
