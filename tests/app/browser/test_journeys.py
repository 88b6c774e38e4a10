"""Whole ways through the page, as visitors go them: shown around, and an own network on a board."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch

from tests.app.conftest import AT_REST, Visit, visited

pytestmark = pytest.mark.browser


class Detector(torch.nn.Module):
    """Large pictures in, a few numbers out: a board is slow at it, and its middle is small."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 32)
        blocks = [torch.nn.Sequential(torch.nn.Conv2d(a, b, 3, 2, 1), torch.nn.ReLU()) for a, b in pairwise(widths)]
        self.body = torch.nn.Sequential(*blocks)
        self.head = torch.nn.Linear(32, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(image).mean((2, 3)))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("detector") / "detector.pt2"
    torch.export.save(torch.export.export(Detector().eval(), (torch.randn(1, 3, 160, 160),)), path)
    return path


@pytest.fixture
def newcomer(stranger, server) -> Iterator[Visit]:
    """Somebody who types the bare address for the first time."""
    found = visited(stranger, server)
    found.page.locator(".decc-verdict").first.wait_for()
    yield found
    found.page.close()


def verdict(page) -> str:
    return page.locator(".decc-verdict").first.inner_text()


def choose(page, box: str, option: str) -> None:
    page.get_by_role("combobox", name=box).click()
    page.keyboard.type(option)
    page.get_by_role("option", name=option).first.click()


def test_a_stranger_reads_what_it_is_and_how_far_the_answer_holds_and_is_shown_around(newcomer):
    page = newcomer.page
    assert verdict(page).startswith("Split: 1.")
    page.get_by_text("layer by layer, device or cloud?").first.wait_for()
    page.locator(".decc-reach", has_text="as fast.").first.wait_for()
    page.get_by_role("button", name="Two-minute tour").click()
    for stop in ("The question", "The answer", "Where the network is cut", "Who works when", "Ask further"):
        page.get_by_text(f"{stop}.").first.wait_for()
        page.get_by_role("button", name="Next").click()
    page.locator(".st-key-tour_bar").get_by_role("link", name="Learn").click()
    page.get_by_text("A made-up network").first.wait_for()
    page.get_by_role("link", name="Plan").click()
    page.locator(".decc-verdict").first.wait_for()
    assert page.locator(".st-key-tour_bar").count() == 0
    assert newcomer.problems == []


def test_an_own_network_on_a_board_and_a_server_with_an_answer_that_says_whether_it_holds(newcomer, file):
    page = newcomer.page
    page.get_by_text("Your own model").click()
    page.locator(".stSidebar input[type=file]").first.set_input_files(file)
    page.locator(".decc-asked", has_text="detector (your model), one request").first.wait_for()
    choose(page, "Edge device", "Raspberry Pi 4")
    page.wait_for_url(lambda url: "edge=raspberry-pi-4" in url)
    choose(page, "Cloud device", "NVIDIA T4")
    page.wait_for_url(lambda url: "cloud=t4" in url)
    page.locator(".decc-asked", has_text="The times are estimated").first.wait_for()
    assert verdict(page).startswith(("Split: ", "Do not split: "))
    page.locator(".decc-reach", has_text="as fast.").first.wait_for()
    page.wait_for_function(AT_REST)
    page.get_by_role("tab", name="Take along").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Report").click()
    report = download.value.path().read_text(encoding="utf-8")
    assert verdict(page).rstrip(".") in report.replace("&#x27;", "'")
    assert newcomer.problems == []
    assert newcomer.hosts <= {"127.0.0.1", ""}
