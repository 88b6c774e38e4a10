"""What is to be planned: the times of a network's layers, the link, and what a plan must keep."""
