"""The pieces of a network as programs for use elsewhere."""
