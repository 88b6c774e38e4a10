"""Times the nodes of an ONNX network where they run: inside one session of the whole, by ONNX Runtime's own clock."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch

from decc_core.errors import InvalidProfile
from decc_core.models.onnx.model import OnnxModel, Session

KERNEL = "_kernel_time"
US_PER_S = 1e6
MAX_EVENTS = 500_000
"""ONNX Runtime notes no more than a million events; before that a new session goes on."""


class NodeClock:
    """A session of the whole network that notes how long each node takes; a context, as it writes to a folder."""

    def __init__(self, model: OnnxModel) -> None:
        graph = model.graph
        self.model = model
        self.reads = tuple(graph.tensors_of[graph.index[name]][0] for name in model.input_names if name is not None)
        self.gives = tuple(tensor for tensor in graph.returned if tensor not in self.reads)
        self.most = max(2, MAX_EVENTS // (len(graph.layers) + 2))
        self.runs, self.unread = 0, 0
        self.rows: list[list[float]] = []
        """Seconds of each layer that computes, a row for each run."""

    def __enter__(self) -> NodeClock:
        self.folder = Path(tempfile.mkdtemp(prefix="decc-nodes-"))
        self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._read()
            else:
                self.session.session.end_profiling()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, inputs: Sequence[torch.Tensor]) -> None:
        given = list(self.model.named_inputs(inputs).values())
        if self.unread == self.most:
            self._read()
            self._open()
            self.session(given)
            self.skipped = 1
        self.session(given)
        self.unread += 1

    def _open(self) -> None:
        names = self.model.tensor_names
        boundary = (
            tuple(self.model.node_of.values()),
            tuple(names[tensor] for tensor in self.reads),
            tuple(names[tensor] for tensor in self.gives),
        )
        made = self.model.network.fresh(boundary, self.model.threads, self.folder)
        self.session = Session(made, *boundary[1:])
        self.unread, self.skipped = 0, 0

    def _read(self) -> None:
        """Take what the session has noted; nodes come in the order in which they ran, one run after the other."""
        written = Path(self.session.session.end_profiling())
        events: Sequence[dict[str, Any]] = msgspec.json.decode(written.read_bytes())
        written.unlink()
        names = self.model.layer_names
        position = {name: i for i, name in enumerate(names)}
        took = [
            (str(event["name"]).removesuffix(KERNEL), event["dur"] / US_PER_S)
            for event in events
            if event.get("cat") == "Node" and str(event.get("name", "")).endswith(KERNEL)
        ]
        if len(took) != len(names) * (self.unread + self.skipped):
            raise InvalidProfile(
                f"ONNX Runtime timed {len(took)} nodes in {self.unread + self.skipped} runs of the {len(names)} layers "
                f"of '{self.model.graph.name}'; this version of it cannot be used for profiles."
            )
        for first in range(len(names) * self.skipped, len(took), len(names)):
            row = [0.0] * len(names)
            for name, time_s in took[first : first + len(names)]:
                row[position[name]] = time_s
            self.rows.append(row)
