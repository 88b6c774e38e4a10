"""One module for each view of the page; each draws itself from the scenario in the sidebar."""
