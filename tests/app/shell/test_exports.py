"""What a visitor takes along from the page, and how the cut pieces are built meanwhile."""

from __future__ import annotations

import subprocess
import sys

from streamlit.testing.v1 import AppTest

from app.jobs.split import SplitJob
from app.shell.exports import SPLIT
from decc_core.models.ref import NetworkRef
from tests.app.jobs.test_split import DEADLINE_S, SMALL, cut_in_the_middle, wait
from tests.app.server import MAIN


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


def test_the_widgets_import_neither_torch_nor_grpc():
    script = (
        "import sys; import app.shell.exports, app.views.profile; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'grpc')))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=MAIN.parent.parent, capture_output=True, timeout=DEADLINE_S, check=False
    )
    assert found.returncode == 0, found.stderr.decode()
