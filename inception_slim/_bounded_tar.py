"""Members of tar archives, with limited headers."""

from __future__ import annotations

import tarfile

_LARGEST_HEADER = 2**20  # bytes of a long name or an extended header


class BoundedTarInfo(tarfile.TarInfo):
    """A member of an archive whose extended headers are limited: they are read into memory."""

    _EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
                 tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> BoundedTarInfo:
        member = super().frombuf(buf, encoding, errors)
        if member.type in cls._EXTENDED and member.size > _LARGEST_HEADER:
            # A TarError would be taken for the end of the archive.
            raise ValueError(f'a header has {member.size:,} bytes, and {_LARGEST_HEADER:,} are '
                             'allowed')
        return member
