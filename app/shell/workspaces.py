"""What visitors have of their own, networks and profiles: kept for a browser beyond its visits, within limits.

A workspace is found by the digest of its browser's key, so that the key itself is nowhere on the server. It outlasts
reloads and lost connections, and is forgotten an hour after its browser was last seen, or on request.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
import uuid
import weakref
from dataclasses import dataclass, field, replace

from app import memory
from app.jobs.upload import OwnModel
from app.memory import size_of
from app.state import OWN
from decc_core.errors import InvalidInstance, InvalidProfile
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.wire import WireProfile
from decc_core.ranges import is_count
from decc_core.text import bytes_text, counted

KEPT_S = 3600.0
"""So long after its browser was last seen a workspace is still there."""
NETWORKS, PROFILES, WIRES = 5, 100, 20
"""How many one workspace keeps. Of networks the one that was not used for longest gives way; it can come again."""
MOST_RENAMED = 100
WORKSPACES = 1000
"""How many are kept; an empty one takes a kilobyte."""
VARIABLE = "DECC_WORKSPACE_BYTES"
"""The environment variable that says how many bytes the files of all workspaces may have."""
FILE_BYTES = 8_000_000_000
SHARE = 2
"""One workspace gets half of what there is for all."""
IN_MEMORY = 20
"""Graphs and profiles, which lie in memory, get so many times less than files."""
MAX_NAME = 60


def file_bytes() -> int:
    """How much the files of all workspaces may have, as the environment says it, or as usual."""
    text = os.environ.get(VARIABLE, str(FILE_BYTES))
    if not is_count(text) or int(text) == 0:
        raise InvalidInstance(f"{VARIABLE} is '{text}'; give a whole number above 0.")
    return int(text)


@dataclass(frozen=True)
class Size:
    """Bytes on the disk and in memory."""

    files: int = 0
    memory: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.files + other.files, self.memory + other.memory)

    def exceeds(self, files: int) -> bool:
        """Whether it is more than fits where files may have so many bytes."""
        return self.files > files or self.memory > files // IN_MEMORY


@dataclass
class Workspace:
    """One browser's networks by the names under which they can be chosen, its profiles and wire profiles by network
    and name.

    Tabs of one browser share it, each with a thread of its own: changes come one at a time, and what is handed out to
    be looked through is a copy.
    """

    networks: dict[str, OwnModel] = field(default_factory=dict)
    profiles: dict[str, dict[str, DeviceProfile]] = field(default_factory=dict)
    wires: dict[str, dict[str, WireProfile]] = field(default_factory=dict)
    renamed: dict[tuple[str, str], str] = field(default_factory=dict)
    """Under what name a profile is to be found now, by its network and the name that a tab may still show."""
    last: dict[str, str] = field(default_factory=dict)
    """The address shown last, where something of one's own was in it."""
    token: str = field(default="", init=False)
    """Owns what the server has computed about the networks; a new one once all is forgotten."""
    used_s: float = field(default_factory=time.monotonic, init=False)
    """When a tab last did something, and when one was last there."""
    here_s: float = field(default_factory=time.monotonic, init=False)
    _used: dict[str, float] = field(default_factory=dict, init=False)
    _sizes: dict[int, tuple[weakref.ref[object], int]] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    def __post_init__(self) -> None:
        self._renew()

    def __bool__(self) -> bool:
        return bool(self.networks or any(self.profiles.values()) or any(self.wires.values()))

    def own_networks(self) -> dict[str, OwnModel]:
        with self._lock:
            return dict(self.networks)

    def own_profiles(self, model: str) -> dict[str, DeviceProfile]:
        with self._lock:
            return dict(self.profiles.get(model, {}))

    def all_profiles(self) -> list[tuple[str, str, DeviceProfile]]:
        """All of them, each with its network and its name."""
        with self._lock:
            return [(model, label, profile) for model, mine in self.profiles.items() for label, profile in mine.items()]

    def own_wires(self, model: str) -> dict[str, WireProfile]:
        with self._lock:
            return dict(self.wires.get(model, {}))

    def all_wires(self) -> list[tuple[str, str, WireProfile]]:
        """All wire profiles, each with its network and its name."""
        with self._lock:
            return [(model, label, wire) for model, mine in self.wires.items() for label, wire in mine.items()]

    @property
    def size(self) -> Size:
        with self._lock:
            files = sum(network.file_bytes for network in self.networks.values())
            profiles = (profile for mine in self.profiles.values() for profile in mine.values())
            quick = (profile for network in self.networks.values() for profile in network.profiles.values())
            wires = (wire for mine in self.wires.values() for wire in mine.values())
            parts = [*(network.loaded.graph for network in self.networks.values()), *profiles, *quick, *wires]
            return Size(files, sum(map(self._size_of, parts)))

    def _size_of(self, part: object) -> int:
        """Of a graph or a profile, which are frozen: each is measured once."""
        known, size = self._sizes.get(id(part), (None, 0))
        if known is None or known() is not part:
            self._sizes = {key: kept for key, kept in self._sizes.items() if kept[0]() is not None}
            size = size_of(part)
            self._sizes[id(part)] = weakref.ref(part), size
        return size

    def use(self, name: str) -> None:
        """Note that a network is looked at."""
        self._used[name] = time.monotonic()

    def add_network(self, network: OwnModel, fresh: bool = True) -> tuple[str, tuple[str, ...]]:
        """Keep a network; returns the name under which it can be chosen, and those of networks that gave way.

        The same files, read in the same way, take the place of what was read before; what is not `fresh` does so only
        where its times are the same, too.
        """
        with self._lock:
            for name, known in self.networks.items():
                same = network.digest and (known.digest, known.name) == (network.digest, network.name)
                if same and (fresh or known.profiles == network.profiles):
                    self.networks[name] = network
                    return name, ()
            size = Size(network.file_bytes, size_of(network.loaded.graph))
            if size.exceeds(file_bytes() // SHARE):
                raise InvalidInstance(
                    f"'{network.file_name}' takes {bytes_text(size.files + size.memory)}, more than is kept for one "
                    f"visitor; {VARIABLE} sets how much that is."
                )
            name, number = f"{OWN}{network.name}", 1
            while name in self.networks:
                number += 1
                name = f"{OWN}{network.name} ({number})"
            self.networks[name] = network
            self.use(name)
            gone = []
            while len(self.networks) > NETWORKS or self.size.exceeds(file_bytes() // SHARE):
                others = [one for one in self.networks if one != name]
                if not others:
                    break
                gone.append(min(others, key=lambda one: self._used.get(one, 0.0)))
                self.remove_network(gone[-1])
            return name, tuple(gone)

    def remove_network(self, name: str) -> None:
        """Forget a network, with its profiles: a later one may get its name, and has other layers."""
        with self._lock:
            self.networks.pop(name, None)
            self.profiles.pop(name, None)
            self.wires.pop(name, None)
            self._used.pop(name, None)
            self.renamed = {key: label for key, label in self.renamed.items() if key[0] != name}

    def add_profile(self, model: str, profile: DeviceProfile) -> str:
        """Keep a profile, and return the name under which it can be chosen; nothing that was there is replaced."""
        with self._lock:
            mine = self.profiles.setdefault(model, {})
            name = profile.device.strip()[:MAX_NAME] or "nameless"
            number, label = 1, OWN + name
            while label in mine:
                if mine[label] == replace(profile, device=mine[label].device):
                    return label
                number += 1
                label = f"{OWN}{name} ({number})"
            many = sum(map(len, self.profiles.values()))
            if many >= PROFILES or (self.size + Size(0, size_of(profile))).exceeds(file_bytes() // SHARE):
                raise InvalidProfile(
                    f"You have {counted(many, 'profile')} of your own already, and no room for another one; remove one "
                    "first."
                )
            mine[label] = replace(profile, device=label.removeprefix(OWN))
            self.renamed.pop((model, label), None)
            return label

    def rename_profile(self, model: str, label: str, name: str) -> str:
        """Give a profile another name, in its place; tabs that show the old one find it under the new one."""
        with self._lock:
            mine = self.profiles.get(model, {})
            wanted = OWN + (name.strip()[:MAX_NAME] or label.removeprefix(OWN))
            if wanted != label and wanted in mine:
                raise InvalidProfile(f"You already have a profile '{wanted.removeprefix(OWN)}'; choose another name.")
            self.profiles[model] = {
                (wanted if old == label else old): (
                    replace(profile, device=wanted.removeprefix(OWN)) if old == label else profile
                )
                for old, profile in mine.items()
            }
            if wanted != label:
                led = {key: wanted if key[0] == model and now == label else now for key, now in self.renamed.items()}
                led.pop((model, wanted), None)
                self.renamed = dict([*led.items(), ((model, label), wanted)][-MOST_RENAMED:])
            return wanted

    def remove_profile(self, model: str, label: str) -> None:
        with self._lock:
            self.profiles.get(model, {}).pop(label, None)

    def add_wire(self, model: str, wire: WireProfile, name: str) -> str:
        """Keep a wire profile, and return the name under which it can be chosen; nothing that was there is replaced."""
        with self._lock:
            mine = self.wires.setdefault(model, {})
            name = name.strip()[:MAX_NAME] or "nameless"
            number, label = 1, OWN + name
            while label in mine:
                if mine[label] == wire:
                    return label
                number += 1
                label = f"{OWN}{name} ({number})"
            many = sum(map(len, self.wires.values()))
            if many >= WIRES or (self.size + Size(0, size_of(wire))).exceeds(file_bytes() // SHARE):
                raise InvalidProfile(
                    f"You have {counted(many, 'wire profile')} of your own already, and no room for another one; "
                    "remove one first."
                )
            mine[label] = wire
            return label

    def remove_wire(self, model: str, label: str) -> None:
        with self._lock:
            self.wires.get(model, {}).pop(label, None)

    def clear(self) -> None:
        """Forget everything, files included, and what the server has computed about it."""
        with self._lock:
            for mine in (self.networks, self.profiles, self.wires, self.renamed, self.last, self._used, self._sizes):
                mine.clear()
            memory.leave(self.token)
            self._renew()

    def _renew(self) -> None:
        self.token = uuid.uuid4().hex
        weakref.finalize(self, memory.leave, self.token)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


class Workspaces:
    """The workspaces of all browsers, and of visits whose browser has no key, which end with them."""

    def __init__(self) -> None:
        self._kept: dict[str, Workspace] = {}
        self._alone: weakref.WeakSet[Workspace] = weakref.WeakSet()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, key: str) -> Workspace:
        """The workspace of whoever shows this key; an empty one for somebody new."""
        digest = hashlib.sha256(key.encode()).hexdigest()
        with self._lock:
            if digest not in self._kept:
                while len(self._kept) >= WORKSPACES:
                    self._drop(min(self._kept, key=lambda one: (bool(self._kept[one]), self._kept[one].here_s)))
                self._kept[digest] = Workspace()
            return self._kept[digest]

    def alone(self) -> Workspace:
        """A workspace that nobody comes back to: it ends with whoever holds it."""
        with self._lock:
            made = Workspace()
            self._alone.add(made)
            return made

    def make_room(self, mine: Workspace) -> None:
        """Give up others where all take more than they may: first those whose tabs did nothing for longest.

        Who added something is never given up for it: one workspace gets a part of the whole only.
        """
        with self._lock:
            others = sorted({*self._kept.values(), *self._alone} - {mine}, key=lambda one: one.used_s)
            total = sum((one.size for one in others), mine.size)
            for other in others:
                if not total.exceeds(file_bytes()):
                    break
                total = total + Size(-other.size.files, -other.size.memory)
                other.clear()

    def look(self, now_s: float) -> None:
        """Forget the workspaces of browsers that were not seen for as long as things are kept."""
        with self._lock:
            for digest in [one for one, workspace in self._kept.items() if now_s - workspace.here_s > KEPT_S]:
                self._drop(digest)

    def _drop(self, digest: str) -> None:
        self._kept.pop(digest).clear()


STORE = Workspaces()
"""The server's."""
