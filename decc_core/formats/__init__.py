"""How tensors are coded for the link: one small file for each family of formats behind one face."""

from decc_core.formats.catalogue import COMMON, IMAGES, NAMES, RAW, canonical, find
from decc_core.formats.format import CODED, PLAIN, Format, carrier

__all__ = ["CODED", "COMMON", "IMAGES", "NAMES", "PLAIN", "RAW", "Format", "canonical", "carrier", "find"]
