"""Names out of files are text on every view and in what is downloaded: neither HTML nor Markdown, and nothing runs."""

from __future__ import annotations

import io
import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlparse

import pytest
import torch
from onnx import helper

from decc_core import library, store
from tests.app.conftest import AT_REST, Visit, visited
from tests.load.hostile_onnx import model

pytestmark = pytest.mark.browser
NAMES = (
    "<img src=x onerror=alert`1`>", "<b>pwnedb</b>", "**pwnedbold**", "[pwnedlink](javascript:alert`1`)",
    "$pwnedmath$", ":red[pwnedred]", "`pwnedcode", "<svg onload=alert`1`>", "<a href='https://evil,example'>pwnedanchor</a>",
)  # fmt: skip
FILE = "<img src=x onerror=alert`1`> **pwnedbold** :red[pwnedred]"
WORDS = ("pwnedb", "pwnedbold", "pwnedlink", "pwnedmath", "pwnedred", "pwnedanchor")
"""No element says just this, unless what stood around it was taken for an order."""
BAD = "img[src='x'], [onerror], [onload], a[href^='javascript'], a[href*='//evil'], .katex"
"""Links to the views carry names in their parameters, where slashes are written otherwise."""
MARKUP = """
([words, bad]) => {
  const found = [];
  const look = root => {
    for (const one of root.querySelectorAll('*')) {
      if (one.shadowRoot) look(one.shadowRoot);
      const said = one.childElementCount < 2 ? one.textContent.trim() : '';
      if (one.matches(bad) || words.includes(said)) found.push(one.outerHTML.slice(0, 300));
    }
  };
  look(document);
  return found;
}
"""
PATHS = {"Plan": "", "Network": "network", "Profile": "profile", "Sweep": "sweep", "Live run": "live"}
PLAN_TABS = (
    "All strategies", "Why this cut", "What if", "Two plans", "What is sent", "Bound and proof", "Mix or overlap",
)  # fmt: skip


def markup(page) -> list[str]:
    """Elements that a name has become, in shadow roots as well."""
    return page.evaluate(MARKUP, [WORDS, BAD])


@dataclass
class Walk:
    """Somebody who goes through all views, and whatever a name made happen meanwhile."""

    visit: Visit
    happened: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch(self.page)

    @property
    def page(self):
        return self.visit.page

    def watch(self, page) -> None:
        page.on("dialog", lambda dialog: (self.happened.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", self._asked)

    def _asked(self, request) -> None:
        url = urlparse(request.url)
        elsewhere = url.scheme in ("http", "https") and url.hostname != "127.0.0.1"
        if elsewhere or url.path in ("/x", "/x/") or url.path.endswith("evil"):
            self.happened.append(f"request {request.url}")

    def settle(self, page=None) -> None:
        (page or self.page).wait_for_timeout(300)
        if page is None:
            self.page.wait_for_function(AT_REST)
        assert markup(page or self.page) == []
        assert self.happened == []

    def open(self, view: str) -> None:
        self.page.get_by_role("link", name=view).click()
        self.page.wait_for_url(lambda url: urlparse(url).path.strip("/") == PATHS[view])
        self.settle()

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()
        self.settle()

    def all_views(self) -> None:
        self.plan()
        self.network()
        self.open("Profile")
        self.page.locator(".js-plotly-plot").first.hover()
        for name in ("Table", "Measure, load, scale"):
            self.tab(name)
        for view in ("Sweep", "Live run"):
            self.open(view)
        assert [one for one in self.visit.problems if "favicon" not in one] == []

    def plan(self) -> None:
        self.page.locator("svg.canvas .mark").first.wait_for()
        self.settle()
        self.page.locator("svg.canvas .mark .body").first.click()
        self.page.locator("svg.gantt .bar").first.hover()
        self.settle()
        for name in PLAN_TABS:
            self.tab(name)
        self.report()

    def report(self) -> None:
        """The downloaded page, opened as a file."""
        self.tab("Take along")
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name="Report").click()
        opened = self.page.context.new_page()
        self.watch(opened)
        opened.set_content(download.value.path().read_text(encoding="utf-8"))
        self.settle(opened)
        opened.close()

    def network(self) -> None:
        self.open("Network")
        self.page.get_by_role("button", name="Expand all").click()
        self.settle()
        marks = self.page.locator("svg.canvas .mark[data-id^=layer]")
        for i in range(min(3, marks.count())):
            marks.nth(i).locator(".body").click(force=True)
            self.settle()
        self.page.get_by_role("combobox", name="Jump to a layer").click()
        self.settle()
        self.page.keyboard.press("Escape")


@pytest.fixture(scope="module")
def walk(regular, server) -> Iterator[Walk]:
    found = Walk(visited(regular, f"{server}/?model=alexnet"))
    found.page.locator("svg.canvas .mark").first.wait_for()
    yield found
    found.page.close()


def upload(page, name: str, content: bytes) -> None:
    drop(page, name, content)
    page.get_by_text("Read from").first.wait_for(timeout=120_000)


def drop(page, name: str, content: bytes) -> None:
    box = page.locator(".stSidebar input[type=file]").first
    if not box.count():
        page.get_by_text("Your own model", exact=True).first.click()
    box.set_input_files({"name": name, "mimeType": "application/octet-stream", "buffer": content})


def pt2() -> bytes:
    """A chain of modules that are called so; export keeps their paths."""
    named = [(name.replace(".", ""), torch.nn.Conv2d(3, 3, 1)) for name in NAMES]
    module = torch.nn.Sequential(OrderedDict(named)).eval()
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(module, (torch.randn(1, 3, 8, 8),)), buffer)
    return buffer.getvalue()


def onnx() -> bytes:
    """A chain of nodes that are called so themselves."""
    ends = ["x", *(f"t{i}" for i in range(len(NAMES) - 1)), "y"]
    return model(
        [helper.make_node("Tanh", [ends[i]], [ends[i + 1]], name) for i, name in enumerate(NAMES)]
    ).SerializeToString()


def test_a_refused_file_is_named_as_text(walk):
    drop(walk.page, f"{FILE}.onnx", b"These are my notes.\n" * 20)
    walk.page.get_by_role("button", name="How to make a file that is taken").click(timeout=60_000)
    walk.page.get_by_role("dialog").first.wait_for()
    walk.settle()
    walk.page.keyboard.press("Escape")
    walk.page.get_by_role("dialog").wait_for(state="detached")


def test_names_in_a_profile_are_text_wherever_they_stand(walk):
    profile = json.loads(store.to_json(library.load_profile("alexnet", "cpu-1-thread")))
    evil = " ".join(NAMES)
    profile["content"]["device"] = FILE
    profile["content"]["provenance"] |= {"source": evil, "machine": {evil: evil}, "settings": {evil: evil}}
    walk.open("Profile")
    walk.tab("Measure, load, scale")
    walk.page.locator(".stMain input[type=file]").first.set_input_files(
        {"name": f"{FILE}.json", "mimeType": "application/json", "buffer": json.dumps(profile).encode()}
    )
    walk.page.get_by_role("button", name="Use as edge device").first.click()
    walk.settle()
    for label in ("Edge device", "Cloud device"):
        walk.page.locator(".stSidebar .stSelectbox", has_text=label).locator(".stTooltipIcon").first.hover()
        walk.settle()
    walk.open("Plan")
    walk.report()


@pytest.mark.parametrize(("ending", "make"), [pytest.param(".pt2", pt2, marks=pytest.mark.slow), (".onnx", onnx)])
def test_names_in_a_model_file_are_text_wherever_they_stand(walk, ending, make):
    upload(walk.page, FILE + ending, make())
    walk.all_views()


def test_the_watch_sees_what_it_looks_for(walk):
    opened, other = walk.page.context.new_page(), Walk(walk.visit)
    other.watch(opened)
    opened.set_content(f"<base href='http://127.0.0.1:9/'><p>{NAMES[0]}</p><p>{NAMES[1]}</p>")
    opened.wait_for_timeout(300)
    found = "".join(markup(opened))
    assert "<img" in found
    assert "<b>" in found
    assert {what.split()[0] for what in other.happened} == {"dialog", "request"}
    opened.close()
