"""A visitor's own networks and profiles with the scenario in one file: written, and read as the file of a stranger.

It is a zip archive of one folder. In it are the networks' files as they were sent, so that they are read once more
by the process that reads files of strangers, and profiles, of devices and of wire formats, as JSON.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import msgspec

from app.jobs.file import FileJob
from app.jobs.upload import OwnModel, Place, Sent, read_network
from app.state import OWN
from decc_core import __version__, library, store
from decc_core.errors import DeccError, InvalidInstance, UnreadableFile
from decc_core.load.limits import VARIABLE, Limits
from decc_core.load.zips import BEGINNING, Archive, opened
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.wire import WireProfile
from decc_core.profiling.quick import DOUBT
from decc_core.text import bytes_text, shown

ROOT, CONTENTS = "decc-workspace", "workspace.json"
KIND, VERSION = "decc-workspace", 1
EDGE, CLOUD = "edge.json", "cloud.json"
"""Quick times of a network, beside its files."""
PARTS = {"profile": "profile", "wire": "wire profile"}
"""What parts of an archive hold, in words."""
CONTENTS_BYTES, PROFILE_BYTES = 1_000_000, 16_000_000
MOST_NETWORKS, MOST_PROFILES = 20, 200
"""More than any page keeps."""
MOST_BESIDE = 1000
LONGEST_TEXT = 2000
SAVE_AGAIN = "save the workspace again where it is from"


class NetworkEntry(msgspec.Struct, frozen=True):
    """A network in the table of contents: what its visitor called it, its files, how they are read, what was timed."""

    label: str
    file: str
    beside: tuple[str, ...] = ()
    architecture: str | None = None
    batch: int = 1
    dimensions: dict[str, int] = {}
    timed: tuple[str, ...] = ()
    doubt: str = ""
    """Why its quick times cannot be believed, if they cannot."""


class ProfileEntry(msgspec.Struct, frozen=True):
    network: str
    label: str


class Contents(msgspec.Struct, frozen=True):
    """The table of contents; `scenario` is an address' parameters, `decc` the version that wrote it."""

    kind: str
    version: int
    decc: str
    scenario: dict[str, str] = {}
    networks: tuple[NetworkEntry, ...] = ()
    profiles: tuple[ProfileEntry, ...] = ()
    wires: tuple[ProfileEntry, ...] = ()

    def require_sense(self) -> None:
        """Refuse what no page has written."""
        if self.kind != KIND or self.version != VERSION:
            raise UnreadableFile(
                f"it is version {self.version} of {shown(self.kind)}, saved with DECC {shown(self.decc)}, and this "
                f"page reads version {VERSION} of '{KIND}'"
            )
        beside = max((len(entry.beside) for entry in self.networks), default=0)
        for what, many, most in (
            ("networks", len(self.networks), MOST_NETWORKS),
            ("profiles", len(self.profiles), MOST_PROFILES),
            ("wire profiles", len(self.wires), MOST_PROFILES),
            ("files beside a network", beside, MOST_BESIDE),
            ("settings", len(self.scenario), MOST_PROFILES),
        ):
            if many > most:
                raise UnreadableFile(f"it holds {many} {what}, and at most {most} are taken; {SAVE_AGAIN}")
        texts = [
            *self.scenario,
            *self.scenario.values(),
            *(text for entry in self.networks for text in (entry.label, entry.file, entry.doubt, *entry.beside)),
            *(text for entry in (*self.profiles, *self.wires) for text in (entry.network, entry.label)),
        ]
        if any(len(text) > LONGEST_TEXT for text in texts):
            raise UnreadableFile(f"a name in it has more than {LONGEST_TEXT} letters; {SAVE_AGAIN}")
        labels = [entry.label for entry in self.networks]
        if any("" in entry.beside or len(set(entry.beside)) < len(entry.beside) for entry in self.networks):
            raise UnreadableFile(f"its files are not told apart by their names; {SAVE_AGAIN}")
        if len(set(labels)) < len(labels) or not all(label.startswith(OWN) for label in labels):
            raise UnreadableFile(f"its networks are not told apart by their names; {SAVE_AGAIN}")
        if not all(set(entry.timed) <= {EDGE, CLOUD} for entry in self.networks):
            raise UnreadableFile(f"it holds times of another kind than this page knows; {SAVE_AGAIN}")

    def parts(self) -> set[str]:
        """Every part that the archive holds."""
        networks = {
            f"network-{i}/{part}"
            for i, entry in enumerate(self.networks)
            for part in ("sent", *(f"beside-{j}" for j in range(len(entry.beside))), *entry.timed)
        }
        profiles = {f"profile-{i}.json" for i in range(len(self.profiles))}
        return {CONTENTS} | networks | profiles | {f"wire-{i}.json" for i in range(len(self.wires))}


def packed_bytes(
    networks: Mapping[str, OwnModel],
    profiles: Sequence[tuple[str, str, DeviceProfile]],
    wires: Sequence[tuple[str, str, WireProfile]] = (),
) -> int:
    """About how large the file becomes."""
    files = [path for network in networks.values() if network.sent for path in _paths(network.sent)]
    times = [profile for network in networks.values() for profile in network.profiles.values()]
    # A layer's two times in JSON take about 100 bytes.
    layers = sum(len(one.median_s) for one in (*times, *(profile for *_, profile in profiles)))
    # One format of one tensor about 300.
    coded = sum(len(tensors) for *_, wire in wires for tensors in wire.codings.values())
    return sum(path.stat().st_size for path in files) + 100 * layers + 300 * coded


def packed(
    networks: Mapping[str, OwnModel],
    profiles: Sequence[tuple[str, str, DeviceProfile]],
    scenario: Mapping[str, str],
    wires: Sequence[tuple[str, str, WireProfile]] = (),
) -> bytes:
    """The file; refused where no page would open it, because it is too large."""
    most = Limits.from_environment().file_bytes
    if (size := packed_bytes(networks, profiles, wires)) > most:
        raise InvalidInstance(
            f"The workspace has {bytes_text(size)}, and no page opens more than {bytes_text(most)}; remove a network."
        )
    entries, file = [], io.BytesIO()
    # Weights do not get smaller, and readers refuse what unpacks to much more than it is.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for label, network in networks.items():
            if (sent := network.sent) is None:
                continue
            place = f"{ROOT}/network-{len(entries)}"
            timed = {EDGE: network.loaded.edge, CLOUD: network.loaded.cloud}
            for path, part in zip(
                _paths(sent), ("sent", *(f"beside-{j}" for j in range(len(sent.beside)))), strict=True
            ):
                archive.write(path, f"{place}/{part}")
            for part, profile in timed.items():
                if profile is not None:
                    archive.writestr(f"{place}/{part}", store.to_json(profile))
            entries.append(
                NetworkEntry(
                    label,
                    sent.name,
                    tuple(sent.beside),
                    sent.architecture,
                    sent.batch,
                    dict(sent.dimensions),
                    tuple(part for part, profile in timed.items() if profile is not None),
                    next((note for note in network.loaded.notes if note.startswith(DOUBT)), ""),
                )
            )
        for i, (_, _, profile) in enumerate(profiles):
            archive.writestr(f"{ROOT}/profile-{i}.json", store.to_json(profile))
        for i, (_, _, wire) in enumerate(wires):
            archive.writestr(f"{ROOT}/wire-{i}.json", store.to_json(wire))
        named, wired = (
            tuple(ProfileEntry(network, label) for network, label, _ in found) for found in (profiles, wires)
        )
        contents = Contents(KIND, VERSION, __version__, dict(scenario), tuple(entries), named, wired)
        archive.writestr(f"{ROOT}/{CONTENTS}", msgspec.json.format(msgspec.json.encode(contents), indent=1))
    return file.getvalue()


def _paths(sent: Sent) -> list[Path]:
    return [sent.file, *sent.beside.values()]


def looked_into(name: str, content: bytes, limits: Limits) -> tuple[Archive, Contents]:
    """The archive and its table of contents, when they fit together; nothing else of it was looked at."""
    try:
        if not content.startswith(BEGINNING):
            raise UnreadableFile(f"it is no zip archive, as *Save workspace* writes them; {SAVE_AGAIN}")
        archive = opened(io.BytesIO(content), limits).sound(limits)
        if CONTENTS not in archive.parts:
            raise UnreadableFile(f"it has no table of contents, {CONTENTS}; {SAVE_AGAIN}")
        try:
            contents = msgspec.json.decode(archive.read(CONTENTS, CONTENTS_BYTES), type=Contents)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise UnreadableFile(f"its table of contents is damaged; {SAVE_AGAIN}") from None
        contents.require_sense()
        there, told = set(archive.parts), contents.parts()
        if there != told:
            how = "should not be there" if there - told else "is missing"
            raise UnreadableFile(f"its part {shown(min(there - told or told - there))} {how}; {SAVE_AGAIN}")
    except UnreadableFile as error:
        raise UnreadableFile(f"{shown(name)} is not opened: {_told(str(error))}") from None
    return archive, contents


Kept = TypeVar("Kept", DeviceProfile, WireProfile)


def profile_in(archive: Archive, part: str, graph: LayerGraph, kind: type[Kept]) -> Kept:
    """The profile in a part, when it is one of the network."""
    profile = store.from_json(archive.read(part, PROFILE_BYTES), kind, part)
    profile.require_graph(graph)
    return profile


@dataclass(frozen=True)
class Bundle:
    """What a file held: networks and profiles under the names that they have in it, and the scenario as an address.

    `left_out` has a sentence for everything of it that was not taken.
    """

    contents: Contents
    networks: dict[str, OwnModel]
    profiles: tuple[tuple[str, str, DeviceProfile], ...]
    wires: tuple[tuple[str, str, WireProfile], ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass
class BundleJob(FileJob):
    """One workspace that was opened: nothing of it is believed that would not be of a file that was dropped alone."""

    what = "Opening the workspace"
    found: Bundle | None = None
    taken: str = ""
    """What the page has kept of it, in words, and a sentence for everything that it has not."""
    told: tuple[str, ...] = ()

    def _read(self) -> None:
        limits = Limits.from_environment()
        limits.require(file_bytes=len(self.content))
        archive, contents = looked_into(self.file_name, self.content, limits)
        networks: dict[str, OwnModel] = {}
        left_out: list[str] = []
        for i, entry in enumerate(contents.networks):
            if self.stopped.is_set():
                return
            try:
                networks[entry.label], problems = self._network(archive, i, entry)
                left_out += problems
            except DeccError as error:
                left_out.append(f"The network {shown(entry.file)} was not taken: {error}")
        profiles = self._profiles(archive, contents.profiles, "profile", DeviceProfile, networks, left_out)
        wires = self._profiles(archive, contents.wires, "wire", WireProfile, networks, left_out)
        self.found = Bundle(contents, networks, profiles, wires, tuple(left_out))

    def _profiles(
        self,
        archive: Archive,
        entries: Sequence[ProfileEntry],
        part: str,
        kind: type[Kept],
        networks: Mapping[str, OwnModel],
        left_out: list[str],
    ) -> tuple[tuple[str, str, Kept], ...]:
        """Profiles of one kind, each with its network and its name; what cannot be taken is told."""
        found = []
        for i, entry in enumerate(entries):
            try:
                profile = profile_in(archive, f"{part}-{i}.json", _graph(entry.network, networks), kind)
                found.append((entry.network, entry.label, profile))
            except DeccError as error:
                name, network = (shown(text.removeprefix(OWN)) for text in (entry.label, entry.network))
                left_out.append(f"The {PARTS[part]} {name} of {network} was not taken: {error}")
        return tuple(found)

    def _network(self, archive: Archive, number: int, entry: NetworkEntry) -> tuple[OwnModel, tuple[str, ...]]:
        """The network, and what is to be said about its times."""
        place = tempfile.TemporaryDirectory(prefix="decc-upload-", ignore_cleanup_errors=True)
        try:
            sent = Sent.into(
                place,
                entry.file,
                entry.beside,
                architecture=entry.architecture,
                batch=entry.batch,
                dimensions=dict(entry.dimensions),
            )
            network = self._loaded(archive, f"network-{number}", entry, sent, place)
        except BaseException:
            place.cleanup()
            raise
        try:
            times = [
                profile_in(archive, f"network-{number}/{part}", network.loaded.graph, DeviceProfile)
                if part in entry.timed
                else None
                for part in (EDGE, CLOUD)
            ]
        except DeccError as error:
            return network, (f"The quick times of {shown(entry.file)} were not taken: {error}",)
        if not entry.timed:
            return network, ()
        doubt = (entry.doubt,) if entry.doubt.startswith(DOUBT) else ()
        loaded = replace(network.loaded, edge=times[0], cloud=times[1], notes=(*network.loaded.notes, *doubt))
        return replace(network, loaded=loaded, timed_here=False), ()

    def _loaded(self, archive: Archive, folder: str, entry: NetworkEntry, sent: Sent, place: Place) -> OwnModel:
        digests = {}
        names = {"sent": "", **{f"beside-{j}": name for j, name in enumerate(entry.beside)}}
        for (part, name), path in zip(names.items(), _paths(sent), strict=True):
            digest = hashlib.sha256()
            with path.open("wb") as file:
                for chunk in archive.chunks(f"{folder}/{part}"):
                    file.write(chunk)
                    digest.update(chunk)
            digests[name] = digest.hexdigest()
        # Whoever sent the file measured already, on the machine that the scenario means.
        return read_network(sent, place, sent.digest(digests), not entry.timed, self._hear, self._started)


def _graph(name: str, networks: Mapping[str, OwnModel]) -> LayerGraph:
    if name in networks:
        return networks[name].loaded.graph
    if name.startswith(OWN) or name not in library.shipped_models():
        raise UnreadableFile(f"the network {shown(name.removeprefix(OWN))} is not there.")
    return library.load_graph(name)


def _told(sentence: str) -> str:
    """What is wrong with an archive; the remedies of its reader are for networks, but for limits, which it names."""
    if VARIABLE in sentence:
        return f"{sentence[0].lower()}{sentence[1:]}"
    what = sentence.split(";")[0].rstrip(".")
    return f"{what[0].lower()}{what[1:]}; {SAVE_AGAIN}."
