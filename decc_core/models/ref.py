"""The network to run, as page, command line and API name it to workers; known without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from decc_core import files

if TYPE_CHECKING:
    from decc_core.models.model import Model


@dataclass(frozen=True)
class NetworkRef:
    """A network of the zoo by its name, or one as data: layers and tensors as `portable` writes them, or their files.

    `holder` is what the files live as long as, such as the folder that they lie in.
    """

    name: str
    data: tuple[bytes, bytes] | tuple[Path, Path] | None = field(default=None, repr=False)
    holder: object = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, model: Model) -> NetworkRef:
        """A network that is here; refuses operators that cannot travel."""
        from decc_core.models import portable

        return cls(model.graph.name, portable.to_data(model))

    def read(self) -> tuple[bytes, ...]:
        """Layers and tensors; nothing for a network of the zoo."""
        return tuple(files.read(part) if isinstance(part, Path) else part for part in self.data or ())

    def build(self) -> Model:
        """The network as something that runs in this process."""
        from decc_core.models import portable, zoo

        return portable.from_data(*self.read()) if self.data is not None else zoo.extracted(self.name)
