"""One pair of local workers for all tests that leave them alive."""

from __future__ import annotations

import pytest

from decc_core.models.ref import NetworkRef
from decc_core.runtime.controller.live import local_workers
from tests.runtime.networks import fork


@pytest.fixture(scope="session")
def workers():
    with local_workers() as pair:
        pair.load(NetworkRef.of(fork()))
        yield pair
