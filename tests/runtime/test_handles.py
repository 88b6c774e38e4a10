"""Who has loaded a network can name it, and nobody else can; equal architectures never share weights."""

from __future__ import annotations

from contextlib import contextmanager

import msgspec
import pytest
import torch

from decc_core.errors import WorkerFailed
from decc_core.models import portable
from decc_core.models.ref import NetworkRef
from decc_core.models.torch.extract import extract
from decc_core.network.work import Resource
from decc_core.plans.pieces import SIDES
from decc_core.profiling.settings import ProfileSettings
from decc_core.runtime.controller.client import WorkerClient
from decc_core.runtime.controller.live import Workers
from decc_core.runtime.controller.report import RunSettings
from decc_core.runtime.wire.messages import LoadModel, ModelChunk
from decc_core.runtime.wire.pacing import LinkShape
from decc_core.runtime.worker import models
from decc_core.runtime.worker.models import ModelShelf
from tests.runtime.networks import LINK, Fork, fork, instance, split_plan

SETTINGS = RunSettings(LinkShape.of(LINK), dilation=1.0)


def other_fork(seed):
    """The same architecture with weights of its own."""
    torch.manual_seed(seed)
    return extract(Fork().eval(), fork().example_inputs, "fork")


def put(shelf, model, instead_of=None, announced=0):
    layers, tensors = portable.to_data(model)
    order = LoadModel(layers_bytes=len(layers), tensors_bytes=len(tensors) + announced, instead_of=instead_of)
    return shelf.load(order, iter([ModelChunk(layers), ModelChunk(tensors)]))


@contextmanager
def another_controller(pair):
    """One more controller of the same two workers."""
    clients = [WorkerClient(side, pair.clients[side].address, pair.clients[side].security) for side in SIDES]
    more = Workers(*clients)
    try:
        more.connect()
        yield more
    finally:
        more.close()


def scores(report):
    return next(iter(report.outputs[0].values())).data


def test_two_controllers_with_equal_architectures_each_run_their_own_weights(workers):
    one = instance(requests=1)
    before = scores(workers.run(one, split_plan(one), SETTINGS))
    with another_controller(workers) as second:
        second.load(NetworkRef.of(other_fork(99)))
        assert second.fingerprint == workers.fingerprint
        assert scores(second.run(one, split_plan(one), SETTINGS)) != before
    workers.forget()
    report = workers.run(one, split_plan(one), SETTINGS)
    assert scores(report) == before
    assert report.outputs_equal


def test_who_has_loaded_nothing_runs_and_measures_nothing(workers):
    one = instance(requests=1)
    with another_controller(workers) as third:
        with pytest.raises(WorkerFailed, match="was given no network"):
            third.run(one, split_plan(one), SETTINGS)
        for side, client in third.clients.items():
            client.loaded = msgspec.structs.replace(workers.clients[side].loaded, handle="0" * 64)
        with pytest.raises(WorkerFailed, match="not loaded here"):
            third.run(one, split_plan(one), SETTINGS)
        with pytest.raises(WorkerFailed, match="not loaded here"):
            third.profile(Resource.EDGE, ProfileSettings("guess", repeats=1))


def test_a_handle_cannot_be_guessed_and_names_one_network():
    shelf = ModelShelf()
    first, second = put(shelf, fork()), put(shelf, other_fork(99))
    assert first.fingerprint == second.fingerprint
    assert first.weights != second.weights
    assert len({first.handle, second.handle}) == 2
    assert all(len(bytes.fromhex(loaded.handle)) == 32 for loaded in (first, second))
    assert shelf.get(first.handle) is not shelf.get(second.handle)
    for guess in (first.fingerprint, first.weights, "", "0" * 64):
        with pytest.raises(WorkerFailed, match="not loaded here"):
            shelf.get(guess)


def test_equal_networks_are_kept_once_under_a_handle_for_each_caller():
    shelf = ModelShelf()
    first, second = put(shelf, fork()), put(shelf, fork())
    assert first.handle != second.handle
    assert shelf.get(first.handle) is shelf.get(second.handle)


def test_what_its_loader_needs_no_more_is_dropped_for_that_loader_alone():
    shelf = ModelShelf()
    mine, other = put(shelf, fork()), put(shelf, fork())
    put(shelf, other_fork(1), instead_of=mine.handle)
    put(shelf, other_fork(2), instead_of="f" * 64)
    with pytest.raises(WorkerFailed, match="not loaded here"):
        shelf.get(mine.handle)
    again = put(shelf, fork(), instead_of=other.handle)
    assert shelf.get(again.handle).graph.name == "fork"


def test_a_network_that_is_loaded_again_by_its_loader_is_not_built_again():
    shelf = ModelShelf()
    first = put(shelf, fork())
    model = shelf.get(first.handle)
    again = put(shelf, fork(), instead_of=first.handle)
    assert shelf.get(again.handle) is model


def test_the_shelf_keeps_the_networks_that_were_used_last():
    shelf = ModelShelf()
    loaded = [put(shelf, other_fork(seed)) for seed in range(models.KEPT)]
    shelf.get(loaded[0].handle)
    last = put(shelf, other_fork(99))
    assert shelf.get(loaded[0].handle) is not shelf.get(last.handle)
    with pytest.raises(WorkerFailed, match="or not any more; load it first"):
        shelf.get(loaded[1].handle)


def test_the_shelf_keeps_fewer_networks_where_they_are_large(monkeypatch):
    size_bytes = sum(map(len, portable.to_data(fork())))
    monkeypatch.setattr(models, "MAX_MODEL_BYTES", size_bytes)
    monkeypatch.setattr(models._Kept, "size_bytes", size_bytes)
    shelf = ModelShelf()
    first, second = put(shelf, fork()), put(shelf, other_fork(99))
    assert shelf.get(second.handle)
    with pytest.raises(WorkerFailed, match="not loaded here"):
        shelf.get(first.handle)


def test_handles_are_limited_in_number(monkeypatch):
    monkeypatch.setattr(models, "HANDLES", 3)
    shelf = ModelShelf()
    loaded = [put(shelf, fork()) for _ in range(4)]
    assert shelf.get(loaded[-1].handle)
    with pytest.raises(WorkerFailed, match="not loaded here"):
        shelf.get(loaded[0].handle)


def test_all_networks_that_are_on_their_way_share_one_limit(monkeypatch):
    layers, tensors = portable.to_data(fork())
    size = len(layers) + len(tensors)
    monkeypatch.setattr(models, "MAX_MODEL_BYTES", size + len(layers) - 1)
    shelf, refused = ModelShelf(), []

    def while_another_comes():
        yield ModelChunk(layers)
        yield ModelChunk(tensors)
        with pytest.raises(WorkerFailed, match="being sent at the same time"):
            put(shelf, other_fork(99))
        refused.append(True)

    order = LoadModel(layers_bytes=len(layers), tensors_bytes=len(tensors))
    assert shelf.get(shelf.load(order, while_another_comes()).handle)
    assert refused
    assert put(shelf, other_fork(99)).handle


@pytest.mark.parametrize(("announced", "sentence"), [(1, "truncated"), (-1, "more than the .* announced")])
def test_a_network_must_be_as_long_as_announced(announced, sentence):
    with pytest.raises(WorkerFailed, match=sentence):
        put(ModelShelf(), fork(), announced=announced)
