"""What a pickle would look up is read off it, whichever way it spells the names, and nothing of it runs."""

from __future__ import annotations

import io
import zipfile

import torch

from decc_core.load.kinds import pickles
from tests.load.foreign_files import Small


def test_all_that_passes_for_a_state_dict_is_on_the_list_of_torch():
    allowed = torch._weights_only_unpickler._get_allowed_globals()
    assert set(allowed) >= pickles.HARMLESS


def test_the_globals_that_are_named_are_those_that_torch_finds(tmp_path):
    path = tmp_path / "net.pt"
    torch.save(torch.nn.Sequential(Small(), torch.nn.Conv2d(1, 1, 1), torch.nn.ReLU()), path)
    with zipfile.ZipFile(path) as archive:
        found = pickles.scan(io.BytesIO(archive.read("net/data.pkl")))
    # torch knows Python 2's name of set, which protocol 2 writes, by its new name.
    harmful = {name for name in found.harmful if name != "__builtin__.set"}
    assert harmful == set(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    assert found.whole


def test_names_that_a_pickle_takes_from_its_memo_or_computes_are_found():
    # The text "os" is put into slot 0, dropped, and fetched again before STACK_GLOBAL.
    memo = b"\x80\x04\x8c\x02os\x940\x8c\x01x0h\x00\x8c\x06system\x93."
    assert pickles.scan(io.BytesIO(memo)).globals == ("os.system",)
    twice = b"\x80\x04\x8c\x02os2\x93."
    assert pickles.scan(io.BytesIO(twice)).globals == ("os.os",)
    computed = b"\x80\x04K\x01\x8c\x06system\x93."
    assert pickles.scan(io.BytesIO(computed)).globals == ("?.system",)
    assert pickles.scan(io.BytesIO(b"(S'x'\nios\nsystem\n.")).globals == ("os.system",)
    assert pickles.scan(io.BytesIO(b"\x80\x02\x82\x07.")).globals == ("copyreg.extension 7",)
