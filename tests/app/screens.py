"""The screens that the page is looked at on, and what each view shows when it is there."""

from __future__ import annotations

SCREENS = {390: 844, 820: 1180, 1366: 768, 2560: 1440}
"""Width and height in pixels: a phone, a tablet, a small laptop, a large screen."""
READY = {
    "": "svg.gantt .bar",
    "network": "svg.canvas .mark",
    "profile": ".js-plotly-plot .main-svg",
    "sweep": ".js-plotly-plot .main-svg",
    "load": ".st-key-load_curve .main-svg",
    "studies": ".st-key-study_networks [data-testid=stMultiSelect]",
    "live": "[data-testid=stAlert]",
    "learn": ".js-plotly-plot .main-svg",
}
"""The views by their addresses."""
