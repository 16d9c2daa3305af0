"""Text of a file as tools write it: compressed or not, in UTF-8, UTF-16 or Windows-1252; what was understood is said.

The rule: a byte-order mark decides; else text most of whose first or second bytes are zero is UTF-16; else what is
valid UTF-8 is UTF-8; else text without control characters is Windows-1252, which has all letters of Latin-1.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

from data.errors import DataError

MAX_BYTES = 2_000_000_000
"""Largest file, and largest content of a compressed one."""

FREE_BYTES, MAX_RATIO = 100_000_000, 200
"""Compressed text may be so long, or so many times as long as its file: tables reach some 20 times, bombs 1,000."""

CHUNK = 1 << 20
SAMPLE = 1000  # bytes at the begin that tell UTF-16 without a mark
MARKS = (  # the longer first: the mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8", ""),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
COMPRESSED: dict[bytes, tuple[str, Callable[[IO[bytes]], Any]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ\x00": ("xz", lzma.open),
}
NO_TEXT = {
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"PAR1": "a Parquet file, whose name must end with .parquet",
    b"\x28\xb5\x2f\xfd": "a file compressed by zstd",
    b"%PDF": "a PDF",
}
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")


class RawText(NamedTuple):
    """Text of a file, and in phrases what had to be understood to get it."""

    text: str
    said: tuple[str, ...] = ()


def read_text(path: Path) -> RawText:
    """Text of a regular file of bounded size, decompressed and decoded.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataError
        If it is no regular file, is too large, or holds no text by the rule above.
    """
    content, packed = _unpack(_read_regular(path), str(path))
    text, encoding = _decode(content, str(path))
    return RawText(text, tuple(f"read as {word}" for word in (packed, encoding) if word))


def _read_regular(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
        os.close(descriptor)
        if stat.S_ISREG(found.st_mode):
            raise _too_large(str(path))
        raise DataError(f"{path}: expected a file, got a folder, device or pipe; choose another")
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MAX_BYTES)


def _too_large(where: str) -> DataError:
    return DataError(f"{where}: expected at most {MAX_BYTES:,} bytes of text, got more; split the file")


def _unpack(content: bytes, where: str) -> tuple[bytes, str]:
    """Content as it was before compression, and the kind of compression; empty for none."""
    for magic, what in NO_TEXT.items():
        if content.startswith(magic):
            raise DataError(f"{where}: expected a table as text (CSV), got {what}; save or name it as CSV")
    if content.startswith(b"PK\x03\x04"):
        return _unzip(content, where), "a zip archive of one file"
    for magic, (name, open_packed) in COMPRESSED.items():
        if content.startswith(magic):
            try:
                with open_packed(io.BytesIO(content)) as file:
                    return _read_bounded(file, len(content), where), f"text compressed by {name}"
            except (OSError, EOFError, lzma.LZMAError, zlib.error) as reason:
                raise DataError(f"{where}: expected a whole {name} file, got a damaged one; write it again") from reason
    return content, ""


def _unzip(content: bytes, where: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            names = [each.filename for each in members]
            if "xl/workbook.xml" in names:
                raise DataError(f"{where}: expected a table as text (CSV), got an Excel workbook; save it as CSV")
            if len(members) != 1:
                shown = ", ".join(names[:3]) or "none"
                raise DataError(f"{where}: expected a zip archive of one file, got {len(members)} ({shown}); unpack it")
            with archive.open(members[0]) as file:
                return _read_bounded(file, len(content), where)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, zlib.error) as reason:
        raise DataError(f"{where}: expected a whole zip archive without password, got another; unpack it") from reason


def _read_bounded(file: IO[bytes], packed_bytes: int, where: str) -> bytes:
    """All of a compressed file, but never more than the limit in memory."""
    content, most = bytearray(), max(FREE_BYTES, MAX_RATIO * packed_bytes)
    while part := file.read(CHUNK):
        content += part
        if len(content) > min(most, MAX_BYTES):
            raise _too_large(where) if most >= MAX_BYTES else _too_dense(where)
    return bytes(content)


def _too_dense(where: str) -> DataError:
    return DataError(
        f"{where}: expected text at most {MAX_RATIO} times as long as its compressed file, got more; unpack the file"
    )


def _decode(content: bytes, where: str) -> tuple[str, str]:
    """Text, and the name of an encoding other than UTF-8."""
    encoding, name, skipped = _find_encoding(content)
    try:
        text = content[skipped:].decode(encoding)
    except UnicodeDecodeError as reason:
        raise DataError(
            f"{where}: expected text in UTF-8, UTF-16 or Windows-1252, got other bytes (byte {reason.start}); "
            "save it as UTF-8"
        ) from reason
    if found := CONTROL.search(text if encoding == "cp1252" else text.replace("\x7f", "").replace("\x85", "")):
        line = text.count("\n", 0, found.start()) + 1
        raise DataError(
            f"{where}, line {line}: expected text, got the control character U+{ord(found[0]):04X}; "
            "choose a text file, or save it as UTF-8"
        )
    return text, _name_sample(text, name)


def _find_encoding(content: bytes) -> tuple[str, str, int]:
    """Encoding, its name if it must be said, and the length of the byte-order mark."""
    for mark, encoding, name in MARKS:
        if content.startswith(mark):
            return encoding, name, len(mark)
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        sample = content[first:SAMPLE:2]
        if 2 * sample.count(0) > len(sample):
            return encoding, "UTF-16", 0
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252", "Windows-1252", 0
    return "utf-8", "", 0


def _name_sample(text: str, name: str) -> str:
    """The encoding, with the first word that is not plain ASCII, by which a reader sees whether it is right."""
    word = re.search(r"\w*[^\W\x00-\x7f]\w*", text) if name else None
    return f"{name} text (with '{word[0]}')" if word else f"{name} text" if name else ""
