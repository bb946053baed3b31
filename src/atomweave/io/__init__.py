"""Reading and writing molecules, one file a format."""

from .formats import FORMATS, format_of, iterate, read, write
from .frames import Refusal
from .sdfwriter import SdfRecord, write_sdf

__all__ = ["FORMATS", "Refusal", "SdfRecord", "format_of", "iterate", "read", "write", "write_sdf"]
