"""A visitor's own profiles: uploaded, or measured on this machine; they live in the visitor's session."""

from __future__ import annotations

import hashlib

import streamlit as st

from app import cached
from decc_core import library, store
from decc_core.errors import DeccError
from decc_core.profile import DeviceProfile

OWN = "own: "
"""Marks a visitor's profile among the shipped devices."""


def devices(model: str) -> list[str]:
    """Devices to choose from: the shipped ones, and this visitor's."""
    return [*library.shipped_devices(model), *_own(model)]


def profile_of(model: str, device: str) -> DeviceProfile:
    own = _own(model)
    return own[device] if device in own else cached.shipped_profile(model, device)


def key_of(model: str, device: str) -> str:
    """What caches know a profile by; the content of a visitor's profile, so that no two visitors share by name."""
    if device in _own(model):
        return hashlib.sha256(store.to_json(_own(model)[device])).hexdigest()
    return device


def _own(model: str) -> dict[str, DeviceProfile]:
    found: dict[str, DeviceProfile] = st.session_state.setdefault("own_profiles", {}).setdefault(model, {})
    return found


def section(model: str) -> None:
    """Upload a profile, or measure one here; a refusal leaves everything as it was."""
    with st.sidebar.expander("Your own profile"):
        uploaded = st.file_uploader(
            f"Profile of {model} (JSON)",
            type="json",
            key=f"upload_{model}",
            help="As written by `decc profile`. It joins the edge and cloud devices above.",
        )
        if uploaded is not None:
            _add_upload(model, uploaded.getvalue(), uploaded.name)
        st.caption("Or measure this network on the machine that serves this page; the plan appears when it is done.")
        threads = st.number_input("Threads", 1, 64, 1, key="measure_threads")
        if st.button("Measure on this machine", key="measure", width="stretch"):
            _measure(model, int(threads))
        for device, found in _own(model).items():
            st.download_button(f"Download {device.removeprefix(OWN)}", store.to_json(found), f"{model}-profile.json")


def _add_upload(model: str, data: bytes, name: str) -> None:
    try:
        found = store.from_json(data, DeviceProfile, name)
        found.require_graph(cached.graph_of(model))
    except DeccError as error:
        st.error(str(error))
        return
    label = OWN + found.device
    if _own(model).get(label) != found:
        _own(model)[label] = found
        st.rerun()
    st.success(f"'{found.device}' can be chosen as edge or cloud device.")


def _measure(model: str, threads: int) -> None:
    # Only here does the page need torch: the first plan must not wait for its import.
    bar = st.progress(0.0, "Building the network …")
    try:
        from decc_core import zoo
        from decc_core.device import DeviceSettings
        from decc_core.extract import extract
        from decc_core.profiler import ProfileSettings, profile

        built = zoo.build(model)
        extracted = extract(built.module, built.example_inputs, built.name)
        settings = ProfileSettings(f"this-machine-{threads}-threads", DeviceSettings(threads))
        found = profile(extracted, settings, lambda done, total, what: bar.progress(done / total, what))
        found.require_graph(cached.graph_of(model))
    except DeccError as error:
        st.error(str(error))
        return
    _own(model)[OWN + found.device] = found
    st.rerun()
