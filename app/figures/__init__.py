"""Figures as pairs of functions: one makes rows of data, one draws them; neither knows Streamlit."""
