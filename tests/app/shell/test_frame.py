"""Every view opens, and for every family of networks one does, in the page as it is."""

from __future__ import annotations

from itertools import cycle, product

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from tests.app.networks import FAMILIES
from tests.app.server import MAIN

DEADLINE_S = 60
HEADINGS = {
    "network": "",
    "profile": "time of every layer",
    "sweep": "Sweep: where the answer changes",
    "live": "Live run: the plan on real processes",
    "learn": "Learn: what a plan may do",
}


EVERY = tuple(product(HEADINGS, FAMILIES))
ORDINARY = set(zip(cycle(HEADINGS), FAMILIES, strict=False))


@pytest.mark.parametrize(
    ("name", "model"), [pytest.param(*pair, marks=() if pair in ORDINARY else pytest.mark.slow) for pair in EVERY]
)
def test_every_view_opens_for_every_family(name, model):
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page._page_hash = calc_hash(name)
    page.query_params.update(model=model, requests="1")
    page.run()
    assert not page.exception
    assert not page.error
    assert any(HEADINGS[name] in heading.value for heading in page.subheader) or not HEADINGS[name]
    assert page.session_state["model"] == model
