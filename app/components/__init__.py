"""Parts of the page with JavaScript of their own, delivered by this server alone."""
