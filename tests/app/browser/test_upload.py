"""A visitor brings a model of their own, in a real browser: refused, mended, planned, run."""

from __future__ import annotations

import pytest
import torch

pytestmark = pytest.mark.browser


class Towers(torch.nn.Module):
    """Two inputs, a chain for each, joined at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.left = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3, 2))
        self.right = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3, 2))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.left(x), self.right(y)], dim=1).mean((2, 3))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same network as a pickled module and as a .pt2 file."""
    torch.manual_seed(0)
    folder, module = tmp_path_factory.mktemp("towers"), Towers().eval()
    torch.save(module, folder / "towers.pt")
    program = torch.export.export(module, (torch.randn(1, 3, 64, 64), torch.randn(1, 3, 64, 64)))
    torch.export.save(program, folder / "towers.pt2")
    return folder


def test_a_model_is_refused_mended_planned_and_run(visit, files):
    page = visit.page
    page.get_by_text("Your own model").click()
    upload = page.locator(".stSidebar input[type=file]").first
    upload.set_input_files(files / "towers.pt")
    page.get_by_text("is a pickled PyTorch module").first.wait_for()
    page.get_by_role("button", name="How to make a file that is taken").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("torch.export.save").first.wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")

    upload.set_input_files(files / "towers.pt2")
    page.locator(".decc-asked", has_text="towers (your model)").first.wait_for()
    page.get_by_text("Read from towers.pt2").first.wait_for()
    page.wait_for_url(lambda url: "own" in url and "towers" in url)

    page.get_by_role("link", name="Live run").click()
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text("All runs").first.wait_for(timeout=240_000)
    assert page.locator("[data-testid=stMetricValue]").first.inner_text() == "bit-identical"
    assert visit.problems == []
    assert visit.hosts <= {"127.0.0.1", ""}
