"""The results of a study: a file for each finished line, then one Parquet table and the same as CSV.

A line's file appears under its name only when it is whole, so that whatever ends a study, the next run finds what was
finished, and does the rest. The study's own file is in the table's metadata.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from decc_core import files
from decc_core.errors import InvalidStudy, UnreadableFile
from decc_core.studies.columns import SCHEMA
from decc_core.studies.study import Study
from decc_core.text import first_line

TEXT, NAME, IDENTITY = b"decc_study", b"decc_study_name", b"decc_study_identity"
"""Keys of the metadata: the study's file, what it is called, and the digest of everything that it depends on."""
MOST_BYTES = 2_000_000_000
"""Of a file of results; a million points with ten strategies take about a tenth."""
MOST_ROWS = 20_000_000
GROUP_ROWS = 10_000
"""Rows that are held at a time when the parts are put together."""
MANIFEST, LOCK = "study.json", "lock"


@dataclass(frozen=True)
class Parts:
    """The folder of finished lines that belongs to a file of results."""

    folder: Path

    @classmethod
    def of(cls, output: Path) -> Parts:
        return cls(output.with_name(f"{output.name}.parts"))

    @contextmanager
    def opened(self, study: Study, identity: str, force: bool) -> Iterator[None]:
        """The folder for this study; that of another, or one that somebody else works in, is refused."""
        with files.locked(self.folder / LOCK) as is_ours:
            if not is_ours:
                raise InvalidStudy(f"Another process plans this study just now: {self.folder} is in use; wait for it.")
            known = self._identity()
            if known not in (None, identity) and not force:
                raise InvalidStudy(
                    f"{self.folder} holds finished lines of another study, or of another version of it, of its "
                    "networks or of DECC; name another --output, or begin anew with --force."
                )
            if known != identity or force:
                self.clear()
            about = {"identity": identity, "name": study.name, "text": study.text}
            files.replace(self.folder / MANIFEST, json.dumps(about).encode())
            yield

    def _identity(self) -> str | None:
        path = self.folder / MANIFEST
        if not path.exists():
            return None
        try:
            return str(json.loads(files.read(path, 2 * files.SETTINGS_BYTES))["identity"])
        except (ValueError, KeyError, TypeError):
            return ""

    def path(self, line: int) -> Path:
        return self.folder / f"line-{line:07}.parquet"

    def there(self) -> list[Path]:
        return files.in_folder(self.folder, (".parquet",), MOST_ROWS) if self.folder.is_dir() else []

    def rows_of(self, line: int) -> int | None:
        """How many rows a finished line has; None where it is not finished, or its file is damaged."""
        try:
            return int(pq.read_metadata(self.path(line)).num_rows)
        except (OSError, pa.ArrowException):
            return None

    def keep(self, line: int, content: bytes) -> None:
        files.replace(self.path(line), content)

    def clear(self) -> None:
        """Remove what a study has put there, and nothing else."""
        for path in (*self.there(), *self.folder.glob("*.new"), self.folder / MANIFEST):
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        self.clear()
        (self.folder / LOCK).unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()


def gather(parts: Parts, lines: int, output: Path, study: Study, identity: str) -> int:
    """Put the parts together, in the order of the lines, as Parquet and CSV; says how many rows did not get a plan."""
    schema = SCHEMA.with_metadata({TEXT: study.text.encode(), NAME: study.name.encode(), IDENTITY: identity.encode()})
    failed = 0
    new, new_csv = output.with_name(f"{output.name}.new"), csv_of(output).with_name(f"{csv_of(output).name}.new")
    try:
        with pq.ParquetWriter(new, schema, compression="zstd") as whole, pa.csv.CSVWriter(new_csv, SCHEMA) as csv:
            for tables in _batches(parts.path(line) for line in range(lines)):
                group = pa.concat_tables(tables).cast(SCHEMA)
                failed += group.num_rows - group["status"].to_pylist().count("planned")
                whole.write_table(group.replace_schema_metadata(schema.metadata))
                csv.write_table(group)
        new_csv.replace(csv_of(output))
        new.replace(output)
    except (OSError, pa.ArrowException) as error:
        for path in (new, new_csv):
            path.unlink(missing_ok=True)
        raise UnreadableFile(f"Cannot write {output}: {first_line(error)}.") from None
    return failed


def _batches(paths: Iterator[Path]) -> Iterator[list[pa.Table]]:
    tables: list[pa.Table] = []
    for path in paths:
        tables.append(pq.read_table(path, use_threads=False))
        if sum(table.num_rows for table in tables) >= GROUP_ROWS:
            yield tables
            tables = []
    if tables:
        yield tables


def csv_of(output: Path) -> Path:
    """The table beside the Parquet file."""
    return output.with_suffix(".csv")


def identity_of(path: Path) -> str | None:
    """What the results in a file depend on; None where there is no such file, empty where it is of something else."""
    if not path.exists():
        return None
    try:
        held = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException):
        return ""
    return str(held.get(IDENTITY, b"").decode("utf-8", "replace"))


def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The results in a Parquet file that a study wrote; all columns, or those that are named.

    Refused unless it is a table of a study, with the columns that it must have.
    """
    content, name = files.read(path, MOST_BYTES, "the results"), path.name
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        if TEXT not in (file.schema_arrow.metadata or {}):
            raise UnreadableFile(f"{name} holds no results of a study; `decc study` writes such files.")
        if file.metadata.num_rows > MOST_ROWS:
            raise UnreadableFile(f"{name} has {file.metadata.num_rows:,} rows; at most {MOST_ROWS:,} are read.")
        wanted = [column for column in SCHEMA.names if columns is None or column in columns]
        for column in wanted:
            if column not in file.schema_arrow.names:
                raise UnreadableFile(f"{name} has no column '{column}'; it was written by another version of DECC.")
            if file.schema_arrow.field(column).type != SCHEMA.field(column).type:
                raise UnreadableFile(f"The column '{column}' of {name} is of another kind than a study's.")
        return file.read(wanted)
    except (OSError, pa.ArrowException, ValueError) as error:
        if isinstance(error, UnreadableFile):
            raise
        raise UnreadableFile(f"{name} is no Parquet file that can be read: {first_line(error)}.") from None


def so_far(output: Path) -> pa.Table:
    """The rows of the finished lines of a study that still runs, or was stopped; all of them once it is over."""
    if output.exists():
        return read(output)
    parts = Parts.of(output)
    tables = []
    for path in parts.there():
        # It may be put together and removed at this moment.
        with suppress(OSError, pa.ArrowException):
            tables.append(pq.read_table(path, use_threads=False))
    if not tables:
        return SCHEMA.empty_table()
    whole = pa.concat_tables(tables)
    with suppress(UnreadableFile, ValueError, KeyError):
        held = json.loads(files.read(parts.folder / MANIFEST, 2 * files.SETTINGS_BYTES))
        whole = whole.replace_schema_metadata({TEXT: held["text"], NAME: held["name"], IDENTITY: held["identity"]})
    return whole


def text_of(table: pa.Table) -> str:
    """The study's file, as it stands in the metadata."""
    held: Mapping[bytes, bytes] = table.schema.metadata or {}
    return held.get(TEXT, b"").decode("utf-8", "replace")


def study_of(table: pa.Table) -> Study:
    """The study that the results are of; raises `InvalidStudy` where this version cannot read it."""
    text = text_of(table)
    if text.lstrip().startswith("{"):
        try:
            said: Any = json.loads(text)
        except ValueError as error:
            raise InvalidStudy(f"The study in the results is not to be read: {first_line(error)}.") from None
        return Study.from_dict(said)
    held: Mapping[bytes, bytes] = table.schema.metadata or {}
    return Study.from_text(text, f"{held.get(NAME, b'study').decode('utf-8', 'replace')}.toml")
