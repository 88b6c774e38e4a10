"""Makes `assets/screenshots/` again from the real page: `python -m benchmarks.screenshots` (needs chromium)."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.app.server import chromium_path, running_page

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "screenshots"
WIDTH, HEIGHT = 1440, 900


def main() -> None:
    executable = chromium_path()
    if executable is None:
        raise SystemExit("No chromium found on the PATH; install one and try again.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with running_page() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
            page.goto(url)
            page.locator(".js-plotly-plot").nth(2).wait_for(timeout=60_000)
            page.wait_for_timeout(1500)
            page.screenshot(path=FOLDER / f"page-{scheme}.png")
            page.get_by_role("link", name="Live run").click()
            page.get_by_role("button", name="Start", exact=True).click()
            page.get_by_text("All runs").wait_for(timeout=300_000)
            page.wait_for_timeout(1500)
            page.screenshot(path=FOLDER / f"live-{scheme}.png")
            page.close()
        browser.close()
    print(f"Wrote {FOLDER}.")


if __name__ == "__main__":
    main()
