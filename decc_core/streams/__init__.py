"""Requests that keep arriving: arrivals, policies that dispatch them, the simulation, and what it shows."""
