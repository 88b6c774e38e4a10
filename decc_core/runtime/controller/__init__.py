"""The controller: has workers run plans, and follows them to the end."""
