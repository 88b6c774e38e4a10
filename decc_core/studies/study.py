"""A study as somebody writes it down: networks, conditions and strategies in a TOML file, which is data and no code.

A list is an axis, and the grid is the product of all of them. Tables of devices, links and constraints are products of
their lists, too, and several tables of one kind follow each other. Mistakes name the key and its line.
"""

from __future__ import annotations

import difflib
import itertools
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isfinite, prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from decc_core import files
from decc_core.errors import DeccError, InvalidStudy
from decc_core.planner.strategies import STRATEGIES
from decc_core.problem.link import MS_PER_S, NS_PER_S
from decc_core.problem.scenario import AS_THE_UPLINK, OPTIONAL, TEXTS, Choice, Scenario
from decc_core.ranges import LONGEST_S, MAX_INT, shown
from decc_core.streams.arrivals import MAX_SOURCES, Process, arrivals
from decc_core.streams.load import POLICIES, Demand
from decc_core.text import counted, printable

Settings = dict[str, Choice]
"""Fields of a scenario, as one entry of an axis sets them."""

GROUPS = {
    "devices": (
        *("edge", "cloud", "edge_slowdown", "cloud_speedup"),
        *("edge_tensor_ms", "edge_mb_ms", "cloud_tensor_ms", "cloud_mb_ms"),
    ),
    "links": ("uplink_mbps", "downlink_mbps", "rtt_ms", "overhead_ms"),
    "constraints": ("keep_on_edge", "keep_in_cloud", "edge_memory_mb", "uplink_kb"),
}
"""Tables of a study, and the fields of a scenario that stand in them; all others stand on top of the file."""
FIELDS = tuple(Scenario("").choices())
"""What may be chosen of a scenario."""
WIRES = "wire_profiles"
"""The table that names for a network what was measured of coding its tensors."""
ON_TOP = tuple(name for name in FIELDS if name not in ("model", "wire_profile", *itertools.chain(*GROUPS.values())))
WHOLE = tuple(one.name for one in fields(Scenario) if str(one.type) == "int")
OWN = ("name", "networks", "strategies", "exact_s", "sample", "seed")
RANGE = ("from", "to", "count", "spacing")
RATES = ("rates_rps", "rates_of_capacity", "sustained")
STREAM = (*RATES, "arrivals", "cv", "deadline_ms", "percentile", "requests", "sources", "servers", "seed", "policies")
NOTHING = "none"
"""As a limit or as what is kept: no limit, nothing."""
NOT_WITH_STREAMS = ("requests", "objective", "strategies", "exact_s")

MOST_POINTS = 1_000_000
MOST_VALUES = 10_000
"""Of one axis."""
MOST_NETWORKS = 200
LONGEST_NAME = 200


@dataclass(frozen=True)
class Stream:
    """How requests arrive at a point, and the rate: in requests/s, as a share of the capacity, or the one sustained."""

    arrivals: str = Process.POISSON.value
    cv: float = 3.0
    deadline_ms: float | None = None
    percentile: float = 99.0
    requests: int = 20_000
    sources: int = 1
    servers: int = 1
    seed: int = 0
    rate_rps: float | None = None
    rate_of_capacity: float | None = None

    def __post_init__(self) -> None:
        # Refused by those who take them, before anything is simulated.
        deadline_ns = NS_PER_S if self.deadline_ms is None else round(self.deadline_ms / MS_PER_S * NS_PER_S)
        Demand(deadline_ns, Process(self.arrivals), self.cv, self.percentile, self.requests, self.seed)
        arrivals(Process(self.arrivals), 1.0 if self.rate_rps is None else self.rate_rps, 1, 1, self.cv, self.seed)
        for what, number in (("sources", self.sources), ("servers", self.servers)):
            if not 1 <= number <= MAX_SOURCES:
                raise InvalidStudy(f"{shown(number)} {what} cannot be simulated; choose 1 to {MAX_SOURCES}.")
        if self.rate_of_capacity is not None and not 0 < self.rate_of_capacity <= 10:
            raise InvalidStudy(
                f"A rate of {shown(self.rate_of_capacity)} times the capacity is not simulated; choose above 0, to 10."
            )

    @property
    def is_sustained(self) -> bool:
        """Whether the rate is to be looked for."""
        return self.rate_rps is None and self.rate_of_capacity is None


@dataclass(frozen=True)
class Study:
    """Everything that a study's file says, checked; each axis as the tuple of its entries.

    `text` is the file, or JSON of the dictionary that it was given as. Files of networks and times are looked for in
    `folder`.
    """

    name: str
    networks: tuple[str, ...]
    devices: tuple[Settings, ...]
    links: tuple[Settings, ...]
    constraints: tuple[Settings, ...]
    others: tuple[Settings, ...]
    streams: tuple[Stream, ...]
    strategies: tuple[str, ...]
    exact_s: float | None = None
    sample: int | None = None
    seed: int = 0
    wire_profiles: tuple[tuple[str, str], ...] = ()
    """Networks, and the wire profile of each."""
    text: str = ""
    folder: Path = field(default=Path(), compare=False)

    @classmethod
    def from_text(cls, text: str, name: str = "study.toml", folder: Path = Path()) -> Study:
        """The study that a TOML file describes; `name` is the file's, in sentences."""
        try:
            said = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InvalidStudy(f"{name} is no TOML: {error}.") from None
        except RecursionError:
            raise InvalidStudy(f"{name} is nested too deep to be a study.") from None
        return _Reader(said, text, name).study(folder)

    @classmethod
    def from_file(cls, path: Path) -> Study:
        return cls.from_text(files.read_text(path, files.SETTINGS_BYTES, "the study"), path.name, path.parent)

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Study:
        """The study that a dictionary describes, which is like a file that was read."""
        try:
            text = json.dumps(said, indent=1)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidStudy(f"The study holds what no file could hold: {error}.") from None
        return _Reader(json.loads(text), text, "").study(Path())

    @property
    def is_streams(self) -> bool:
        """Whether its rows are of policies and requests that keep arriving."""
        return bool(self.streams)

    @property
    def axes(self) -> tuple[int, ...]:
        """How many entries each axis has, the slowest first."""
        axes: tuple[Sequence[object], ...] = (
            self.networks, self.devices, self.constraints, self.others, self.links, self.streams or (None,)
        )  # fmt: skip
        return tuple(map(len, axes))

    @property
    def whole(self) -> int:
        """How many points the whole grid has."""
        return prod(self.axes)

    @property
    def points(self) -> int:
        """How many points are planned."""
        return self.whole if self.sample is None else self.sample

    @property
    def rows_per_point(self) -> int:
        return len(self.strategies) + (self.exact_s is not None)

    @property
    def rows(self) -> int:
        return self.points * self.rows_per_point

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The devices of edge and cloud that occur together."""
        opening = Scenario("")
        named = ((row.get("edge", opening.edge), row.get("cloud", opening.cloud)) for row in self.devices)
        return tuple(dict.fromkeys((str(edge), str(cloud)) for edge, cloud in named))


class _Reader:
    """Makes a study of what stands in a file, and says where in the file a mistake is."""

    def __init__(self, said: Mapping[str, Any], text: str, name: str) -> None:
        self.said, self.name = said, name
        self.lines = text.splitlines() if name else []

    def study(self, folder: Path) -> Study:
        self.known_keys(self.said, (*OWN, *ON_TOP, *GROUPS, WIRES, "streams"))
        has_streams = "streams" in self.said
        if has_streams:
            for key in NOT_WITH_STREAMS:
                if key in self.said:
                    instead = {"requests": "requests of [streams]", "strategies": "policies of [streams]"}.get(key, "")
                    self.refuse(
                        f"'{key}' is for requests that are all there at once, and not for streams; "
                        + (f"give the {instead}." if instead else "leave it out."),
                        key,
                    )
        networks = self.texts("networks", self.require("networks"), MOST_NETWORKS)
        groups = {group: self.group(group) for group in GROUPS}
        others = self.product({key: self.said[key] for key in ON_TOP if key in self.said})
        streams, policies = self.streams() if has_streams else ((), ())
        strategies = policies or self.names("strategies", self.said.get("strategies", list(STRATEGIES)), STRATEGIES)
        exact_s = None
        if "exact_s" in self.said:
            exact_s = self.number("exact_s", self.said["exact_s"])
            if not 0 < exact_s <= LONGEST_S:
                self.refuse(f"'exact_s' is {exact_s:g} s; choose a limit above 0, up to {LONGEST_S:g} s.", "exact_s")
        study = Study(
            name=self.title(),
            networks=networks,
            others=others,
            streams=streams,
            strategies=strategies,
            exact_s=exact_s,
            seed=self.whole("seed", self.said.get("seed", 0), 0),
            text="\n".join(self.lines) + "\n" if self.name else json.dumps(self.said, indent=1),
            folder=folder,
            wire_profiles=self.wire_profiles(networks),
            devices=groups["devices"],
            links=groups["links"],
            constraints=groups["constraints"],
        )
        if "sample" in self.said:
            sample = self.whole("sample", self.said["sample"], 1)
            if sample > study.whole:
                self.refuse(
                    f"'sample' asks for {sample:,} of {counted(study.whole, 'point')}; choose fewer, or leave it out, "
                    "and all of them are planned.",
                    "sample",
                )
            object.__setattr__(study, "sample", sample)
        elif "seed" in self.said:
            self.refuse("'seed' chooses the points of a sample; give 'sample', too, or leave it out.", "seed")
        if study.points > MOST_POINTS or study.whole > MAX_INT:
            self.refuse(
                f"The grid has {study.whole:,} points; a study has at most {MOST_POINTS:,}. Take shorter lists, or a "
                f"seeded sample: sample = 10_000.",
                "sample" if "sample" in self.said else "networks",
            )
        return study

    def wire_profiles(self, networks: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """The wire profile of each network that has one; refused where nothing that is planned would ask it."""
        table = self.said.get(WIRES, {})
        if not isinstance(table, Mapping) or not all(isinstance(name, str) for name in table.values()):
            self.refuse(f"'{WIRES}' must be one table: [{WIRES}], with lines as: mine = \"wire.json\".", WIRES)
        for network in table:
            if network not in networks:
                self.refuse(f"There is no '{printable(network)[:LONGEST_NAME]}' among the networks.", network, WIRES)
        if table and not {"wire", "input_wire", "min_agreement"} & self.said.keys():
            self.refuse(
                "A wire profile is for coded tensors: say which with 'wire' or 'input_wire', or give 'min_agreement'.",
                WIRES,
            )
        if not table and "min_agreement" in self.said:
            self.refuse(
                f"'min_agreement' needs what was measured of each network: name it in [{WIRES}].", "min_agreement"
            )
        return tuple(table.items())

    def title(self) -> str:
        name = self.said.get("name", self.name.rsplit(".", 1)[0] if self.name else "study")
        if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
            self.refuse(f"'name' must be text of at most {LONGEST_NAME} letters that can be printed.", "name")
        return name

    def require(self, key: str) -> Any:
        if key not in self.said:
            self.refuse(f"There is no '{key}'; name what to plan for, as in: {key} = [\"googlenet\"].")
        return self.said[key]

    def known_keys(self, table: Mapping[str, Any], known: Sequence[str], where: str = "", nth: int = 0) -> None:
        for key in table:
            if key not in known:
                if home := next((group for group, names in GROUPS.items() if key in names), ""):
                    meant = f"it stands in [[{home}]]."
                elif where and key in (*OWN, *ON_TOP):
                    meant = "it stands on top of the file."
                elif close := difflib.get_close_matches(key, known, n=1):
                    meant = f"did you mean '{close[0]}'?"
                else:
                    meant = f"there are {', '.join(known)}."
                self.refuse(f"There is no key '{printable(key)[:LONGEST_NAME]}'; {meant}", key, where, nth)

    def group(self, group: str) -> tuple[Settings, ...]:
        """The entries of all tables of one kind; one that is empty where there is none."""
        tables = self.said.get(group, [{}])
        tables = [tables] if isinstance(tables, Mapping) else tables
        if not isinstance(tables, list) or not tables or not all(isinstance(table, Mapping) for table in tables):
            self.refuse(f"'{group}' must be tables, as in: [[{group}]].", group)
        rows: list[Settings] = []
        for nth, table in enumerate(tables):
            self.known_keys(table, GROUPS[group], group, nth)
            rows += self.product(table, group, nth)
            if len(rows) > MOST_VALUES:
                self.refuse(f"The tables [[{group}]] have more than {MOST_VALUES:,} combinations.", group)
        self.each_once(group, rows, group)
        return tuple(rows)

    def product(self, table: Mapping[str, Any], where: str = "", nth: int = 0) -> tuple[Settings, ...]:
        """All combinations of the entries of a table's lists, the last list's fastest."""
        axes = [
            [(key, self.setting(key, value, where, nth)) for value in self.values(key, given, where, nth)]
            for key, given in table.items()
        ]
        if prod(map(len, axes)) > MOST_VALUES:
            self.refuse(
                f"{f'The table [[{where}]] has' if where else 'The lists on top have'} {prod(map(len, axes)):,} "
                f"combinations; at most {MOST_VALUES:,} are taken.",
                where or next(iter(table)),
            )
        for key, axis in zip(table, axes, strict=True):
            self.each_once(key, [value for _, value in axis], key, where, nth)
        return tuple(dict(row) for row in itertools.product(*axes))

    def each_once(self, key: str, values: Iterable[Any], at: str, where: str = "", nth: int = 0) -> None:
        seen = set()
        for value in values:
            mark = json.dumps(value)
            if mark in seen:
                self.refuse(
                    f"'{key}' has {printable(mark)[:LONGEST_NAME]} twice; each point is planned once.", at, where, nth
                )
            seen.add(mark)

    def values(self, key: str, given: Any, where: str = "", nth: int = 0) -> list[Any]:
        """The entries of an axis: of a list, of a range, or the only one."""
        if isinstance(given, Mapping):
            return self.range(key, given, where, nth)
        values = given if isinstance(given, list) else [given]
        if not 1 <= len(values) <= MOST_VALUES:
            self.refuse(f"'{key}' has {len(values):,} values; give 1 to {MOST_VALUES:,}.", key, where, nth)
        return values

    def range(self, key: str, given: Mapping[str, Any], where: str, nth: int) -> list[float]:
        """Numbers between two, evenly apart by their ratio, or by their difference: of six digits."""
        example = f"{key} = {{ from = 1, to = 100, count = 20 }}"
        if key in TEXTS or {"from", "to", "count"} - given.keys():
            self.refuse(
                f"'{key}' is not understood; give a value, a list, or for numbers a range: {example}.", key, where, nth
            )
        for part in given:
            if part not in RANGE:
                self.refuse(
                    f"A range has {', '.join(RANGE)}, and no '{printable(part)}'; as in: {example}.", key, where, nth
                )
        low, high = (self.number(key, given[end], where, nth) for end in ("from", "to"))
        count = self.whole(key, given["count"], 2, where, nth)
        spacing = given.get("spacing", "ratio")
        if spacing not in ("ratio", "difference"):
            self.refuse(f'The spacing of \'{key}\' is "ratio" or "difference".', key, where, nth)
        if count > MOST_VALUES or (spacing == "ratio" and min(low, high) <= 0) or low == high:
            self.refuse(
                f"'{key}' cannot be a range of {count:,} values from {low:g} to {high:g}; with spacing = \"ratio\" "
                f"both ends lie above 0, and there are at most {MOST_VALUES:,}.", key, where, nth
            )  # fmt: skip
        made = np.geomspace(low, high, count) if spacing == "ratio" else np.linspace(low, high, count)
        numbers = [float(f"{value:.6g}") for value in made]
        if key in (*WHOLE, "sources", "servers"):
            return list(dict.fromkeys(map(round, numbers)))
        return numbers

    def setting(self, key: str, value: Any, where: str, nth: int) -> Choice:
        """One field of a scenario, of the kind that it is, and refused now where the scenario would refuse it."""
        made: Choice
        if key in OPTIONAL and value in (AS_THE_UPLINK, NOTHING):
            return None
        if key in TEXTS:
            is_count = key == "keep_on_edge" and isinstance(value, int) and not isinstance(value, bool)
            if not isinstance(value, str) and not is_count:
                self.refuse(f"'{key}' must be text; {_kind(value)} is not.", key, where, nth)
            made = str(value)
        elif key in WHOLE:
            made = self.whole(key, value, 1, where, nth)
        else:
            made = self.number(key, value, where, nth)
        try:
            Scenario(**{"model": "", key: made})  # type: ignore[arg-type]
        except DeccError as error:
            self.refuse(f"'{key}': {error}", key, where, nth)
        return made

    def streams(self) -> tuple[tuple[Stream, ...], tuple[str, ...]]:
        """How requests arrive: all combinations, with the rates fastest; and the policies."""
        table = self.said["streams"]
        if not isinstance(table, Mapping):
            self.refuse("'streams' must be one table: [streams].", "streams")
        self.known_keys(table, STREAM, "streams")
        policies = self.names("policies", table.get("policies", list(POLICIES)), POLICIES, "streams")
        rates: list[dict[str, Any]] = [
            {field: value}
            for key, field in (("rates_rps", "rate_rps"), ("rates_of_capacity", "rate_of_capacity"))
            if key in table
            for value in self.values(key, table[key], "streams")
        ]
        sustained = table.get("sustained", not rates)
        if not isinstance(sustained, bool) or not (rates or sustained):
            self.refuse(
                "'sustained' is true, to look for the highest rate that keeps the deadline, or false beside rates.",
                "sustained", "streams",
            )  # fmt: skip
        axes = {
            key: self.values(key, given, "streams") for key, given in table.items() if key not in (*RATES, "policies")
        }
        if prod(map(len, axes.values())) * (len(rates) + sustained) > MOST_VALUES:
            self.refuse(f"[streams] has more than {MOST_VALUES:,} combinations; take shorter lists.", "streams")
        made = []
        kinds = {field.name: str(field.type) for field in fields(Stream)}
        for row in itertools.product(*([(key, value) for value in axis] for key, axis in axes.items())):
            for rate in (*rates, *([{}] if sustained else [])):
                given = {**dict(row), **rate}
                for key, value in given.items():
                    at = {"rate_rps": "rates_rps", "rate_of_capacity": "rates_of_capacity"}.get(key, key)
                    if kinds[key] == "str":
                        given[key] = self.names(at, [value], [process.value for process in Process], "streams")[0]
                    elif kinds[key] == "int":
                        given[key] = self.whole(at, value, 0, "streams")
                    else:
                        given[key] = self.number(at, value, "streams")
                try:
                    made.append(Stream(**given))
                except DeccError as error:
                    self.refuse(f"[streams] cannot be: {error}", "streams", "streams")
        self.each_once("streams", [vars(stream) for stream in made], "streams")
        return tuple(made), policies

    def texts(self, key: str, given: Any, most: int, where: str = "") -> tuple[str, ...]:
        values = given if isinstance(given, list) else [given]
        if not values or len(values) > most or not all(isinstance(value, str) and value.strip() for value in values):
            self.refuse(f"'{key}' must be 1 to {most:,} names.", key, where)
        self.each_once(key, values, key, where)
        return tuple(values)

    def names(self, key: str, given: Any, known: Iterable[str], where: str = "") -> tuple[str, ...]:
        values, there = self.texts(key, given, MOST_VALUES, where), list(known)
        for value in values:
            if value not in there:
                close = difflib.get_close_matches(value, there, n=1)
                meant = f"did you mean '{close[0]}'?" if close else f"choose from {', '.join(there)}."
                self.refuse(f"'{key}' has no '{printable(value)[:LONGEST_NAME]}'; {meant}", key, where)
        return values

    def number(self, key: str, value: Any, where: str = "", nth: int = 0) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse(f"'{key}' must be a number; {_kind(value)} is not.", key, where, nth)
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        if not isfinite(number):
            self.refuse(f"'{key}' must be a finite number.", key, where, nth)
        return number

    def whole(self, key: str, value: Any, least: int, where: str = "", nth: int = 0) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(f"'{key}' must be a whole number; {_kind(value)} is not.", key, where, nth)
        if not least <= value <= MAX_INT:
            self.refuse(f"'{key}' is {shown(value)}; choose {least} or more.", key, where, nth)
        return int(value)

    def refuse(self, sentence: str, key: str = "", where: str = "", nth: int = 0) -> NoReturn:
        line = self.line_of(key, where, nth) if key else None
        place = f"{self.name}{f', line {line}' if line else ''}: " if self.name else ""
        raise InvalidStudy(f"{place}{sentence}") from None

    def line_of(self, key: str, where: str, nth: int) -> int | None:
        """The line on which a key stands, or the table that it is in; which the reader of TOML does not tell."""
        header = re.compile(r"\s*\[\[?\s*[\"']?([\w.-]+)[\"']?\s*\]\]?")
        sets = re.compile(rf"\s*(?:[\w-]+\s*\.\s*)?[\"']?{re.escape(key)}[\"']?\s*[=.]")
        table, seen, home = "", dict[str, int](), None
        for number, line in enumerate(self.lines, 1):
            if found := header.match(line):
                table = found[1]
                seen[table] = seen.get(table, -1) + 1
                if table in (where, key) and seen[table] == nth:
                    home = home or number
            elif sets.match(line) and (table or "") == where and seen.get(table, 0) == nth:
                return number
            elif where and not table and re.match(rf"\s*{re.escape(where)}\s*[=.]", line):
                home = home or number
        return home


def _kind(value: Any) -> str:
    return printable(json.dumps(value, default=str))[:LONGEST_NAME]
