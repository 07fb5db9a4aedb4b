"""Unpacks a published dataset once, as a stream: `.h5.zst`, or the one HDF5 file in a `.tar.zst`."""

import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

from lewm_evidence.data.extra import needed
from lewm_evidence.errors import DataError

PACKED = (".h5.zst", ".tar.zst")
_BLOCK = 1 << 20


def unpack(packed: Path, target: Path | None = None) -> Path:
    """Returns the unpacked HDF5 file; what is there already is taken as it is, because it appears only when whole.

    Args:
        packed: a file named `.h5.zst` or `.tar.zst`.
        target: where to write; by default beside it, named `.h5`.

    Raises:
        DataError: when the file cannot be read, is damaged, or holds no HDF5 file. Nothing is left then.
    """
    target = target or packed.with_name(
        packed.name.removesuffix(".zst").removesuffix(".tar").removesuffix(".h5") + ".h5"
    )
    if target.exists():
        return target
    zstandard = needed("zstandard")
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as out, packed.open("rb") as file:
            with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as stream:
                _copy(stream, out, tar=packed.name.endswith(".tar.zst"))
            out.flush()
            os.fsync(out.fileno())
        # A stream that was cut short ends like a whole one; HDF5 knows how long its file must be.
        needed("h5py").File(name, "r").close()
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except (OSError, EOFError, tarfile.TarError, zstandard.ZstdError) as error:
        raise DataError(f"{packed} cannot be unpacked: {error}; fetch it again") from error
    finally:
        Path(name).unlink(missing_ok=True)
    return target


def _copy(stream: Any, out: IO[bytes], *, tar: bool) -> None:
    if not tar:
        shutil.copyfileobj(stream, out, _BLOCK)
        return
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            content = (
                archive.extractfile(member) if member.isfile() and member.name.endswith((".h5", ".hdf5")) else None
            )
            if content is not None:
                shutil.copyfileobj(content, out, _BLOCK)
                return
    raise tarfile.TarError("there is no HDF5 file in it")
