"""A visitor's own networks: uploaded, read, and kept in the browser's workspace; their files go with it."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from app.jobs.upload import OwnModel
from app.shell import cached, visit
from app.shell.workspaces import NETWORKS, STORE
from app.state import title_of
from app.text import plain
from decc_core import library
from decc_core.models.ref import NetworkRef
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile
from decc_core.profiling.quick import DOUBT
from decc_core.text import listed


def own() -> dict[str, OwnModel]:
    """This visitor's networks, by the name under which they can be chosen."""
    return visit.workspace().own_networks()


def add(network: OwnModel, fresh: bool = True) -> str:
    """Keep a network, and return the name under which it can be chosen."""
    mine = visit.workspace()
    name, gone = mine.add_network(network, fresh)
    STORE.make_room(mine)
    if gone:
        gave = listed([title_of(one) for one in gone])
        st.toast(plain(f"{gave} gave way: the page keeps {NETWORKS} networks of yours, within a limit in bytes."))
    return name


def measured_again(name: str, edge: DeviceProfile, cloud: DeviceProfile, doubts: tuple[str, ...]) -> None:
    """Give a network that is still there other quick times, and the doubts that they leave."""
    network = own().get(name)
    if network is not None and edge.graph_fingerprint == cloud.graph_fingerprint == network.loaded.graph.fingerprint:
        notes = tuple(note for note in network.loaded.notes if not note.startswith(DOUBT))
        network.loaded = replace(network.loaded, edge=edge, cloud=cloud, notes=(*notes, *doubts))


def graph_of(name: str) -> LayerGraph:
    mine = own()
    if name not in mine:
        return cached.graph_of(name)
    visit.workspace().use(name)
    return mine[name].loaded.graph


def network_of(name: str) -> NetworkRef:
    """The network for jobs that run it: of the zoo, or the visitor's own."""
    mine = own()
    return mine[name].network if name in mine else NetworkRef(name)


def devices(name: str) -> tuple[str, ...]:
    """Devices with a profile of the network that nobody needs to make: the edge's usual one first, estimates last."""
    mine, shipped = own(), shipped_name(name)
    measured = mine[name].profiles if name in mine else ()
    return (*measured, *(library.shipped_devices(shipped) if shipped else ()), *library.catalogue())


def profile_of(name: str, device: str) -> DeviceProfile:
    mine = own()
    if device in library.catalogue():
        return cached.estimated_profile(graph_of(name), device)
    if name not in mine:
        return cached.shipped_profile(name, device)
    network = mine[name]
    return network.profiles[device] if device in network.profiles else cached.shipped_profile(_twin(network), device)


def shipped_name(name: str) -> str:
    """The shipped network with the same layers: the network itself, or of the visitor's own its twin, if it has one."""
    mine = own()
    return _twin(mine[name]) if name in mine else name


def _twin(network: OwnModel) -> str:
    """The shipped network with the same layers, if the visitor's is one with other weights."""
    graph = network.loaded.graph
    shipped = graph.name in library.shipped_models() and cached.graph_of(graph.name).fingerprint == graph.fingerprint
    return graph.name if shipped else ""
