"""Makes `assets/screenshots/` again from the real page: `python -m benchmarks.screenshots` (needs chromium).

With `--screens FOLDER` it makes others, to be looked at: every view as it opens, from a phone to a large screen, in
both themes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page, sync_playwright

from tests.app.screens import READY, SCREENS
from tests.app.server import chromium_path, running_page

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "screenshots"
WIDTH, HEIGHT = 1440, 900
DEADLINE_MS = 300_000
AT_REST = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"


def plan(page: Page) -> None:
    page.locator("svg.canvas .mark").last.wait_for()
    page.locator("svg.gantt .bar").first.wait_for()


def network(page: Page) -> None:
    page.locator("svg.canvas .mark[data-id^=branch]").last.wait_for()


def profile(page: Page) -> None:
    page.locator(".js-plotly-plot").first.wait_for()


def sweep(page: Page) -> None:
    page.locator(".js-plotly-plot").nth(1).wait_for()
    page.locator(".stMain").get_by_role("button", name="Stop", exact=True).wait_for(state="hidden")


def load(page: Page) -> None:
    page.locator(".st-key-load_queue .main-svg").first.wait_for()


def studies(page: Page) -> None:
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_role("tab", name="Figures", exact=True).click()
    page.locator(".js-plotly-plot").first.wait_for()
    page.locator("[class*=st-key-study_gain]").first.scroll_into_view_if_needed()


def live(page: Page) -> None:
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text("All runs").wait_for()


def learn(page: Page) -> None:
    page.locator(".js-plotly-plot").first.wait_for()


def own_model(page: Page, file: Path) -> None:
    """The Plan view of a file that was dropped on the page."""
    page.get_by_role("link", name="Plan").click()
    page.get_by_text("Your own model").click()
    page.locator(".stSidebar input[type=file]").first.set_input_files(file)
    page.get_by_text(f"Read from {file.name}").wait_for()
    page.wait_for_function(AT_REST)
    plan(page)


def exported(folder: Path) -> Path:
    """The zoo's network of two towers as a file, as a visitor would have one."""
    import torch

    from decc_core.models import zoo

    built = zoo.build("two_tower")
    torch.export.save(torch.export.export(built.module, built.example_inputs), folder / "sight_and_sound.pt2")
    return folder / "sight_and_sound.pt2"


VIEWS: dict[str, tuple[str, Callable[[Page], None]]] = {
    "Plan": ("plan", plan),
    "Network": ("network", network),
    "Profile": ("profile", profile),
    "Sweep": ("sweep", sweep),
    "Load": ("load", load),
    "Studies": ("studies", studies),
    "Live run": ("live", live),
    "Learn": ("learn", learn),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the documentation's pictures of the page again.")
    parser.add_argument("--screens", type=Path, metavar="FOLDER", help="write every view on four screens there instead")
    folder = parser.parse_args().screens
    executable = chromium_path()
    if executable is None:
        raise SystemExit("No chromium found on the PATH; install one and try again.")
    (folder or FOLDER).mkdir(parents=True, exist_ok=True)
    with running_page() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            if folder is None:
                documented(browser, url, scheme)
            else:
                on_all_screens(browser, url, scheme, folder)
        browser.close()
    print(f"Wrote {folder or FOLDER}.")


def documented(browser: Browser, url: str, scheme: str) -> None:
    """What a visitor sees who goes through all views, and brings a network of their own."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
    page.set_default_timeout(DEADLINE_MS)
    page.goto(url)
    for title, (name, ready) in VIEWS.items():
        page.get_by_role("link", name=title, exact=True).click()
        page.wait_for_function(AT_REST)
        ready(page)
        _shoot(page, FOLDER / f"{name}-{scheme}.png")
    with TemporaryDirectory() as place:
        own_model(page, exported(Path(place)))
    _shoot(page, FOLDER / f"own-model-{scheme}.png")
    page.close()


def on_all_screens(browser: Browser, url: str, scheme: str, folder: Path) -> None:
    """Every view as it opens."""
    for width, height in SCREENS.items():
        for view, ready in READY.items():
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=width < 1000
            )
            page.set_default_timeout(DEADLINE_MS)
            page.goto(f"{url}/{view}")
            page.locator(ready).first.wait_for()
            page.wait_for_function(AT_REST)
            _shoot(page, folder / f"{view or 'plan'}-{width}-{scheme}.png")
            page.close()


def _shoot(page: Page, file: Path) -> None:
    page.wait_for_timeout(2500)
    page.screenshot(path=file)


if __name__ == "__main__":
    main()
