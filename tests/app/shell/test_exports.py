"""What a visitor takes along from the page, and how the cut pieces are built meanwhile."""

from __future__ import annotations

import subprocess
import sys
import time

from streamlit.testing.v1 import AppTest

from app.jobs.split import SplitJob
from app.shell.exports import SPLIT
from decc_core import library, store
from decc_core.models.ref import NetworkRef
from decc_core.plans.plan import Execution, staged_plan
from decc_core.problem.scenario import Scenario
from decc_core.study.compare import Comparison, compare
from tests.app.server import MAIN

DEADLINE_S = 90
SMALL = Scenario(model="squeezenet1_1", uplink_mbps=100.0, cloud_speedup=10.0)


def compared(scenario: Scenario, strategies: tuple[str, ...] = ("edge-only", "dads-dsl", "jps", "decc")) -> Comparison:
    edge, cloud = (library.load_profile(scenario.model, name) for name in (scenario.edge, scenario.cloud))
    return compare(scenario.instance(library.load_graph(scenario.model), edge, cloud), strategies)


def cut_in_the_middle(scenario: Scenario):
    instance = compared(scenario, ("edge-only",)).instance
    half = frozenset(range(len(instance.graph.layers) // 2))
    plan = staged_plan(instance, Execution.CONSECUTIVE, [half])
    return instance, store.SavedPlan(instance.graph.name, instance.graph.fingerprint, plan, "by hand")


def widgets_of(kind: str) -> AppTest:
    def script(kind: str) -> None:
        from app.shell import exports
        from tests.app.shell.test_exports import SMALL, compared, cut_in_the_middle

        if kind == "report":
            found = compared(SMALL)
            exports.report_download(SMALL, found, found.of("decc"))
        else:
            instance, saved = cut_in_the_middle(SMALL)
            exports.split_download(SMALL, instance.graph, saved)

    return AppTest.from_function(script, kwargs={"kind": kind}, default_timeout=DEADLINE_S).run()


def wait(job: SplitJob) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not job.over and time.monotonic() < deadline:
        time.sleep(0.1)
    assert job.over


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
