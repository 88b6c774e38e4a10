"""What is pointed at or chosen in graph or table is marked in the others, by pointer and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.app.conftest import AT_REST, Visit, visited

pytestmark = pytest.mark.browser
ADDRESS = "?model=two_tower&requests=2&cloud_speedup=4&uplink_mbps=100&tab=What+is+sent"
NOTE_EVENTS = """
() => {
  window.heard = [];
  window.addEventListener("decc:point", event => window.heard.push(event.detail));
}
"""
POINT = (
    "layers => window.dispatchEvent(new CustomEvent('decc:point', {detail: {source: 'gantt', layers, requests: null}}))"
)
ROWS = ".frame tbody tr"
POINTED = "svg.canvas.pointing .mark.pointed"


@pytest.fixture(scope="module")
def reader(regular, server) -> Iterator[Visit]:
    """Somebody who reads what a plan sends."""
    found = visited(regular, f"{server}/{ADDRESS}")
    found.page.locator("svg.canvas .mark").first.wait_for()
    found.page.locator(ROWS).first.wait_for()
    found.page.wait_for_function(AT_REST)
    found.page.evaluate(NOTE_EVENTS)
    yield found
    found.page.close()


def last(page) -> dict:
    return page.evaluate("window.heard.at(-1)")


def test_a_row_under_the_pointer_marks_its_layers_and_their_lines_in_the_graph(reader):
    page = reader.page
    assert page.locator(POINTED).count() == 0
    page.locator(ROWS).first.hover()
    page.locator(POINTED).first.wait_for()
    assert page.locator(POINTED).count() == 1
    assert page.locator("svg.canvas path.strong.pointed").count() >= 1
    said = last(page)
    assert said["source"] == "table"
    assert len(said["layers"]) == 1
    page.mouse.move(5, 5)
    page.locator(POINTED).first.wait_for(state="detached")
    assert last(page)["layers"] == []


def test_a_mark_under_the_pointer_or_in_focus_marks_the_rows_of_its_tensors(reader):
    page = reader.page
    page.locator(ROWS).first.hover()
    page.locator(POINTED).first.wait_for()
    name = page.locator(POINTED).first.get_attribute("data-id")
    mark = page.locator(f"svg.canvas .mark[data-id={name}]")
    mark.locator(".body").hover()
    page.locator(f"{ROWS}.pointed").first.wait_for()
    assert last(page)["source"] == "graph"
    page.mouse.move(5, 5)
    page.locator(f"{ROWS}.pointed").first.wait_for(state="detached")
    mark.focus()
    page.locator(f"{ROWS}.pointed").first.wait_for()
    mark.blur()
    page.locator(f"{ROWS}.pointed").first.wait_for(state="detached")


def test_a_chosen_row_stays_marked_until_it_is_chosen_again(reader):
    page = reader.page
    row = page.locator(ROWS).first
    row.click()
    page.mouse.move(5, 5)
    page.locator(POINTED).first.wait_for()
    # Somebody looks at a mark, and away again: the choice is seen again.
    page.locator("svg.canvas .mark .body").last.hover()
    page.mouse.move(5, 5)
    page.locator(POINTED).first.wait_for()
    assert row.get_attribute("aria-current") == "true"
    row.click()
    page.mouse.move(5, 5)
    page.locator(POINTED).first.wait_for(state="detached")


def test_what_the_chart_points_at_is_marked_in_graph_and_table(reader):
    page = reader.page
    page.locator(ROWS).first.hover()
    layers = last(page)["layers"]
    page.mouse.move(5, 5)
    page.evaluate(POINT, layers)
    page.locator(POINTED).first.wait_for()
    page.locator(f"{ROWS}.pointed").first.wait_for()
    page.evaluate(POINT, [])
    page.locator(POINTED).first.wait_for(state="detached")
    assert page.locator(f"{ROWS}.pointed").count() == 0


def test_the_tab_key_leaves_the_table_and_arrows_walk_through_it(reader):
    page = reader.page
    focused = """() => {
      let one = document.activeElement;
      while (one && one.shadowRoot) one = one.shadowRoot.activeElement;
      return one ? one.tagName + ' ' + one.textContent.trim().slice(0, 20) : '';
    }"""
    page.locator("thead button").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused).startswith("BUTTON way")
    page.keyboard.press("ArrowDown")
    first = page.evaluate(focused)
    assert first.startswith("TR")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) != first
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "BUTTON Save as CSV"
    page.keyboard.press("Tab")
    assert not page.evaluate(focused).startswith(("TR", "BUTTON Save"))


def test_columns_sort_by_their_numbers_and_back(reader):
    page = reader.page
    title = page.get_by_role("button", name="size (kB)")
    column = page.locator("thead th").all_inner_texts().index("size (kB)")

    def sizes() -> list[float]:
        cells = page.locator(f"{ROWS} td:nth-child({column + 1})").all_inner_texts()
        return [float(cell.replace(",", "")) for cell in cells]

    before = sizes()
    title.click()
    assert sizes() == sorted(before)
    title.click()
    assert sizes() == sorted(before, reverse=True)
    title.click()
    assert sizes() == before


def test_the_table_is_saved_as_csv(reader):
    page = reader.page
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    assert download.value.suggested_filename == "two_tower-sent.csv"
    lines = download.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith("tensor,way,made by,read by")
    assert len(lines) == 1 + page.locator(ROWS).count()
    assert reader.problems == []
    assert reader.hosts <= {"127.0.0.1", ""}


def test_a_row_of_the_strategies_that_is_chosen_has_its_plan_drawn_above(visit):
    page = visit.page
    page.wait_for_function(AT_REST)
    table = page.locator(".st-key-table")
    row = table.locator("tbody tr", has_text="edge-only")
    assert table.locator("tr[aria-current]").inner_text().startswith("jps")
    row.click()
    page.locator(".st-key-gantt_title", has_text="Schedule of edge-only").first.wait_for()
    page.locator(".st-key-table tr[aria-current]", has_text="edge-only").first.wait_for()
    page.wait_for_function(AT_REST)
    assert "shown=edge-only" in page.url
    # The arrow keys walk, and Enter chooses; the row that is chosen stays so.
    row.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator(".st-key-gantt_title", has_text="Schedule of cloud-only").first.wait_for()
    page.wait_for_function(AT_REST)
    # What is drawn anew leaves the keyboard where it is.
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator(".st-key-gantt_title", has_text="Schedule of neurosurgeon").first.wait_for()
    page.locator(".st-key-table tr[aria-current]", has_text="neurosurgeon").first.wait_for()
    page.wait_for_function(AT_REST)
    table.locator("tbody tr", has_text="cloud-only").click()
    page.locator(".st-key-gantt_title", has_text="Schedule of cloud-only").first.wait_for()
    page.locator(".st-key-table tr[aria-selected=true]", has_text="cloud-only").first.wait_for()
    page.wait_for_function(AT_REST)
    # Chosen once more it stays so.
    table.locator("tbody tr", has_text="cloud-only").click()
    page.wait_for_function(AT_REST)
    assert table.locator("tr[aria-current]").all_inner_texts()[0].startswith("cloud-only")
    assert table.locator("table[role=grid]").count() == 1
