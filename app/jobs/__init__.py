"""Work in the background of a visit; nothing here knows Streamlit."""
