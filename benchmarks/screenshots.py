"""Pictures of the real page (needs chromium): `python -m benchmarks.screenshots [--all FOLDER]`.

Makes `assets/screenshots/` again; with `--all` every view at four widths and in both themes, into a folder, to be
looked at, and says which of them are wider than the screen.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page, sync_playwright

from tests.app.server import chromium_path, running_page

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "screenshots"
WIDTH, HEIGHT = 1440, 900
SIZES = ((390, 844), (820, 1180), (1366, 768), (2560, 1440))
"""A phone, a tablet, a laptop and a large screen."""
DEADLINE_MS = 300_000
SCHEMES = ("light", "dark")
AT_REST = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"


def plan(page: Page) -> None:
    page.locator("svg.canvas .mark").last.wait_for()
    page.locator(".js-plotly-plot").first.wait_for()


def network(page: Page) -> None:
    page.locator("svg.canvas .mark[data-id^=branch]").last.wait_for()


def profile(page: Page) -> None:
    page.locator(".js-plotly-plot").first.wait_for()


def sweep(page: Page) -> None:
    page.locator(".js-plotly-plot").nth(1).wait_for()
    page.locator(".stMain").get_by_role("button", name="Stop", exact=True).wait_for(state="hidden")


def live(page: Page) -> None:
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text("All runs").wait_for()


def learn(page: Page) -> None:
    page.locator(".js-plotly-plot").first.wait_for()


def own_model(page: Page, file: Path) -> None:
    """The Plan view of a file that was dropped on the page."""
    page.get_by_role("link", name="Plan").click()
    page.get_by_text("Your own model").click()
    page.locator(".stSidebar input[type=file]").set_input_files(file)
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
    "Live run": ("live", live),
    "Learn": ("learn", learn),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every view at four widths and in both themes")
    everything: Path | None = parser.parse_args().all
    executable = chromium_path()
    if executable is None:
        raise SystemExit("No chromium found on the PATH; install one and try again.")
    folder = everything or FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as place, running_page() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        if everything is None:
            file = exported(Path(place))
            for scheme in SCHEMES:
                page = _opened(browser, url, (WIDTH, HEIGHT), scheme)
                _views(page, folder, scheme)
                own_model(page, file)
                _shoot(page, folder / f"own-model-{scheme}.png")
                page.close()
        else:
            for size in SIZES:
                for scheme in SCHEMES:
                    page = _opened(browser, url, size, scheme)
                    _views(page, folder, f"{size[0]}-{scheme}")
                    page.close()
        browser.close()
    print(f"Wrote {folder}.")


def _opened(browser: Browser, url: str, size: tuple[int, int], scheme: str) -> Page:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page.set_default_timeout(DEADLINE_MS)
    page.goto(url)
    return page


def _views(page: Page, folder: Path, ending: str) -> None:
    for title, (name, ready) in VIEWS.items():
        page.get_by_role("link", name=title).click()
        page.wait_for_function(AT_REST)
        ready(page)
        _shoot(page, folder / f"{name}-{ending}.png")
        if page.evaluate("document.scrollingElement.scrollWidth > innerWidth"):
            print(f"{name}-{ending} is wider than the screen.")


def _shoot(page: Page, file: Path) -> None:
    page.wait_for_timeout(2500)
    page.screenshot(path=file)


if __name__ == "__main__":
    main()
