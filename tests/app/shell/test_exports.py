"""What a visitor takes along from the page, and how the cut pieces are built meanwhile."""

from __future__ import annotations

import subprocess
import sys

from streamlit.testing.v1 import AppTest

from app.jobs.split import SplitJob
from app.shell import exports
from app.shell.exports import SPLIT
from decc_core.models.ref import NetworkRef
from decc_core.problem.scenario import Scenario
from tests.app.jobs.test_split import DEADLINE_S, SMALL, cut_in_the_middle, wait
from tests.app.server import MAIN
from tests.builders import make_graph


def widgets_of(kind: str) -> AppTest:
    def script(kind: str) -> None:
        from app.shell import exports
        from tests.app.jobs.test_split import SMALL, compared, cut_in_the_middle

        if kind == "report":
            found = compared(SMALL)
            exports.report_download(SMALL, found, found.of("decc"))
        else:
            instance, saved = cut_in_the_middle(SMALL)
            exports.split_download(SMALL, instance.graph, saved)

    return AppTest.from_function(script, kwargs={"kind": kind}, default_timeout=DEADLINE_S).run()


def test_pieces_are_built_on_a_button_and_then_offered():
    page = widgets_of("split")
    assert not page.exception
    page.button(key="split_build").click().run()
    assert page.button(key="split_stop")
    wait(page.session_state[SPLIT])
    page.run()
    assert not page.exception
    assert not page.error
    assert "bit for bit" in page.caption[0].value


def test_pieces_of_a_network_with_the_same_layers_and_other_weights_are_not_offered():
    page = widgets_of("split")
    instance, saved = cut_in_the_middle(SMALL)
    job = SplitJob(instance.graph, saved, NetworkRef(instance.graph.name))
    job.data, job.over = b"zip", True
    page.session_state[SPLIT] = job
    assert page.run().get("download_button")
    job.network = NetworkRef("the visitor's own")
    page.run()
    assert not page.get("download_button")
    assert page.button(key="split_build")


def test_report_plan_and_table_are_offered_without_an_error():
    page = widgets_of("report")
    assert not page.exception
    assert len(page.get("download_button")) == 4


def test_figures_are_offered_in_three_sizes_and_forms_under_clean_names():
    def script() -> None:
        from app.figures import printed
        from app.shell import exports
        from tests.app.jobs.test_split import SMALL, compared

        found = compared(SMALL)
        pictures = [printed.of_schedule(found, found.of("decc"), True), printed.of_strategies(found)]
        exports.figures(SMALL, found.instance.graph, pictures)

    page = AppTest.from_function(script, default_timeout=DEADLINE_S).run()
    assert not page.exception
    assert [button.proto.label for button in page.get("download_button")] == [
        "Schedule of decc", "All strategies by makespan",
    ]  # fmt: skip
    assert len(page.selectbox(key="print_size").options) == 3
    page.selectbox(key="print_size").select_index(2).run()
    assert not page.exception
    assert len(page.get("download_button")) == 2


def test_a_figure_that_is_too_large_says_so_instead_of_a_button():
    def script() -> None:
        from app.shell import exports
        from decc_core.printed.sheet import Picture
        from tests.app.jobs.test_split import SMALL, compared

        picture = Picture("Layers", "layers", lambda sheet: None, "9,999 boxes are too many: close groups.")
        exports.figures(SMALL, compared(SMALL).instance.graph, [picture])

    page = AppTest.from_function(script, default_timeout=DEADLINE_S).run()
    assert not page.get("download_button")
    assert "9,999 boxes" in page.caption[0].value


def test_the_name_of_a_file_says_what_is_in_it():
    graph = make_graph({"x": [], "y": ["x"]}, name="fusion (mine)")
    scenario = Scenario("own: fusion", uplink_mbps=18.88, requests=8)
    name = exports.file(scenario, graph, "gantt decc", "pdf")
    assert name == "fusion-mine-8-requests-18.88-mbps-gantt-decc.pdf"


def test_the_widgets_import_neither_torch_nor_grpc_nor_matplotlib():
    script = (
        "import sys; import app.shell.exports, app.views.profile; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'grpc', 'matplotlib')))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=MAIN.parent.parent, capture_output=True, timeout=DEADLINE_S, check=False
    )
    assert found.returncode == 0, found.stderr.decode()
