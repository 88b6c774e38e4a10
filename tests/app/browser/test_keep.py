"""Nothing is lost, and nobody else sees it: reloads, other tabs and other browsers, files to take along, and links."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlparse

import pytest
import torch

from decc_core import library, store
from tests.app.conftest import AT_REST, WINDOW, forget, visited

pytestmark = pytest.mark.browser
MODEL = "googlenet"
"""What a link is of that names no network."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A network of one's own, and a profile of a built-in one."""
    folder = tmp_path_factory.mktemp("own")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten()).eval()
    torch.export.save(torch.export.export(module, (torch.randn(1, 3, 8, 8),)), folder / "chain.pt2")
    shipped = library.load_profile(MODEL, "cpu-1-thread")
    (folder / "board.json").write_bytes(store.to_json(replace(shipped, device="board").scaled(3.0, "a test")))
    return folder


@pytest.fixture(scope="module")
def people(browser):
    """Two people with nothing in common."""
    contexts = [browser.new_context(viewport=WINDOW) for _ in range(2)]
    yield contexts
    for context in contexts:
        context.close()


@pytest.fixture
def somebody(people, server):
    forget(people[0], server)
    return people[0]


@pytest.fixture
def somebody_else(people, server):
    forget(people[1], server)
    return people[1]


def rest(page) -> None:
    page.wait_for_function(AT_REST)


def has(page, *texts: str) -> None:
    page.locator(".decc-asked", has_text=texts[0]).first.wait_for()
    rest(page)
    for text in texts[1:]:
        page.locator(".stSidebar").get_by_text(text).first.wait_for()


def drop_model(page, file) -> None:
    page.get_by_text("Your own model").click()
    page.locator(".stSidebar input[type=file]").first.set_input_files(file)
    page.locator(".decc-asked", has_text="chain (your model)").first.wait_for()
    rest(page)


def open_menu(page) -> None:
    """The box of own models closes when a model was read."""
    button = page.get_by_role("button", name="Workspace", exact=True)
    page.wait_for_timeout(500)
    if not button.is_visible():
        page.get_by_text("Your own model").click()
    button.click()


def with_board(page, file) -> None:
    """The visitor's profile is loaded, by way of the link at the left, and is the edge device."""
    page.locator("svg.gantt .bar").first.wait_for()
    rest(page)
    page.get_by_role("link", name="Measure, load or scale times").click()
    page.get_by_text("Load a file", exact=True).first.wait_for()
    rest(page)
    upload = page.locator(".stMain input[type=file]").first
    upload.set_input_files(file)
    page.get_by_text("can now be chosen").first.wait_for()
    rest(page)
    page.get_by_role("button", name="Use as edge device").first.click()
    page.wait_for_url(lambda url: "board" in url)
    rest(page)


def asked(page) -> dict[str, str]:
    return {key: texts[0] for key, texts in parse_qs(urlparse(page.url).query).items()}


def test_a_reload_a_new_tab_and_the_bare_address_keep_network_profile_and_scenario(somebody, server, files):
    page = visited(somebody, f"{server}/?model={MODEL}").page
    with_board(page, files / "board.json")
    page.get_by_role("link", name="Plan", exact=True).click()
    drop_model(page, files / "chain.pt2")
    address = page.url
    page.reload()
    has(page, "chain (your model)", "Read from chain.pt2")
    assert page.url == address
    page.close()
    page = visited(somebody, server).page
    has(page, "chain (your model)")
    assert asked(page)["model"] == "own: chain"
    page.goto(f"{server}/?edge=own%3A+board")
    has(page, MODEL)
    assert asked(page) == {"edge": "own: board"}
    page.close()


def test_the_key_is_kept_by_the_browser_and_is_nowhere_in_the_page(somebody, server):
    page = visited(somebody, server).page
    rest(page)
    (key,) = (cookie for cookie in somebody.cookies() if cookie["name"] == "decc_workspace")
    assert (key["httpOnly"], key["sameSite"], len(key["value"])) == (True, "Strict", 43)
    assert "decc_workspace" not in page.evaluate("document.cookie")
    assert key["value"] not in page.content()
    assert key["value"] not in page.url
    page.reload()
    rest(page)
    assert key["value"] in [cookie["value"] for cookie in somebody.cookies()]
    page.close()


def test_another_browser_sees_nothing_of_it_and_is_told_what_the_link_lacks(somebody, somebody_else, server, files):
    page = visited(somebody, f"{server}/?model={MODEL}").page
    with_board(page, files / "board.json")
    link = page.url
    other = visited(somebody_else, link).page
    other.get_by_text("This link asks for something that is not here").first.wait_for()
    rest(other)
    other.get_by_text("'board'").first.wait_for()
    assert other.url == link
    other.close()
    page.close()


def test_a_saved_workspace_is_opened_by_somebody_else(somebody, somebody_else, server, files, tmp_path):
    page = visited(somebody, server).page
    rest(page)
    drop_model(page, files / "chain.pt2")
    open_menu(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save workspace").click()
    assert download.value.suggested_filename == "decc-workspace.zip"
    saved = tmp_path / "decc-workspace.zip"
    download.value.save_as(saved)
    rest(page)
    makespan = page.locator("[data-testid=stMetricValue]").first.inner_text()
    page.close()

    colleague = visited(somebody_else, server).page
    rest(colleague)
    open_menu(colleague)
    colleague.locator("input[type=file]").last.set_input_files(saved)
    has(colleague, "chain (your model)")
    rest(colleague)
    assert colleague.locator("[data-testid=stMetricValue]").first.inner_text() == makespan


def test_what_is_forgotten_is_gone_after_a_reload(somebody, server, files):
    page = visited(somebody, server).page
    rest(page)
    drop_model(page, files / "chain.pt2")
    link = page.url
    open_menu(page)
    page.get_by_role("button", name="Forget my networks and profiles").click()
    has(page, "multiview4")
    page.goto(link)
    page.get_by_text("This link asks for something that is not here").first.wait_for()
    page.close()


def test_an_unknown_link_stops_until_something_is_chosen(somebody, server):
    page = visited(somebody, f"{server}/?model=googelnet&requests=2").page
    page.get_by_text("This link asks for something that is not here").first.wait_for()
    rest(page)
    assert page.url == f"{server}/?model=googelnet&requests=2"
    page.get_by_role("button", name="googlenet", exact=True).click()
    has(page, "googlenet, 2 requests")
    assert asked(page) == {"requests": "2"}
    page.go_back()
    page.get_by_text("This link asks for something that is not here").first.wait_for()
    page.close()


def test_a_link_is_copied_and_where_there_is_no_clipboard_it_is_shown_selected(somebody, server):
    somebody.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visited(somebody, f"{server}/learn?step=mixing").page
    page.get_by_text("not every request has to be cut alike").first.wait_for()
    rest(page)
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("Copied", exact=True).first.wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == f"{server}/learn?step=mixing"
    page.evaluate(
        "() => { Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true}); "
        "document.execCommand = () => false; }"
    )
    page.get_by_role("button", name="Copy link").click()
    page.get_by_text("Press Ctrl+C").first.wait_for()
    field = page.get_by_label("The link, to be copied")
    assert field.input_value() == f"{server}/learn?step=mixing"
    assert field.evaluate("one => one.selectionEnd - one.selectionStart === one.value.length")
    somebody.clear_permissions()
    page.close()


def test_back_and_forward_move_through_a_selected_layer(somebody, server):
    page = visited(somebody, f"{server}/network?model=alexnet").page
    page.locator("svg.canvas .mark").first.wait_for()
    rest(page)
    page.get_by_role("button", name="features.0").first.click()
    page.wait_for_url(lambda url: "layer=" in url)
    rest(page)
    page.go_back()
    page.get_by_text("Click a layer").first.wait_for()
    rest(page)
    page.go_forward()
    page.get_by_text("Parents").first.wait_for()
    assert "layer" in asked(page)
    page.close()
