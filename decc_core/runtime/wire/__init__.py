"""What travels between controller and workers, and at which pace."""

import os

# Failed handshakes are told in our own words, at either end: gRPC would write a raw line about each, as often as
# strangers like. Whoever looks for an error may set it; it counts from gRPC's first use.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
