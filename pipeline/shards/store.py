"""Where a warehouse lies: a folder or `s3://bucket/prefix`. Files appear whole or not at all.

A local file is written beside its place, synced and renamed; an object is put in one request. Names are relative to the
warehouse, with forward slashes.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs

from pipeline.messages import pasteable
from pipeline.temporary import TemporaryFolder
from schema.errors import LockedError, WarehouseError

TEMPORARY = ".tmp-"
_NO_FOLDER = (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP)  # nor can one be made
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


class Store:
    """One warehouse. Every method raises WarehouseError where the file system refuses."""

    def __init__(self, url: str | Path) -> None:
        self.url = str(url).rstrip("/") if str(url).strip("/") else str(url)
        self.local: Path | None = None
        self._staging: TemporaryFolder | None = None
        if not self.url or self.url in ("s3:", "s3:/"):
            raise WarehouseError(f"warehouse {str(url)!r}: no name; write a folder or s3://bucket/prefix")
        if "://" not in self.url:
            self.local = Path(self.url).absolute()
            if "?" in str(self.local) or any("\ud800" <= c <= "\udfff" for c in str(self.local)):
                raise WarehouseError(
                    f"warehouse {self.url!a}: its path holds a '?' or is not UTF-8, and DuckDB opens no file there; "
                    "rename the folder"
                )
            self.fs: pafs.FileSystem = pafs.LocalFileSystem()
            self.root = str(self.local)
        elif self.url.startswith("s3://"):
            self.root = self.url.removeprefix("s3://")
            self.fs = _s3(self.url)
        else:
            raise WarehouseError(f"warehouse {self.url}: write a folder or s3://bucket/prefix")

    def __str__(self) -> str:
        return self.url

    def path(self, name: str) -> str:
        """`name` as the file system knows it."""
        return f"{self.root}/{name}" if name else self.root

    def address(self, name: str) -> str:
        """`name` as DuckDB opens it, now and here."""
        return f"{self.url}/{name}" if self.local is None else _literally(self.path(name))

    def exists(self, name: str = "") -> bool:
        """Whether the file or folder is there."""
        with self._refusals(name):
            return bool(self.fs.get_file_info(self.path(name)).type != pafs.FileType.NotFound)

    def need(self) -> None:
        """Raise WarehouseError unless there is such a warehouse: a folder, or objects."""
        with self._refusals(""):
            kind = self.fs.get_file_info(self.path("")).type
        if kind == pafs.FileType.NotFound:
            raise WarehouseError(
                f"warehouse {self}: no such folder; make one: "
                f"python -m flows.harvest --repo PATH --warehouse {pasteable(self.url)}"
            )
        if kind != pafs.FileType.Directory:
            raise WarehouseError(f"warehouse {self}: not a folder; name the folder that holds actions.db and shards")

    def names(self, folder: str, recursive: bool = False) -> list[str]:
        """Files in `folder` (relative names, sorted); none when it is missing."""
        with self._refusals(folder):
            selector = pafs.FileSelector(self.path(folder), allow_not_found=True, recursive=recursive)
            found = self.fs.get_file_info(selector)
        start = len(self.root) + 1
        return sorted(f.path[start:] for f in found if f.type == pafs.FileType.File)

    def entries(self) -> set[str]:
        """Names of the files and folders at the top; none when there is no such warehouse."""
        with self._refusals(""):
            found = self.fs.get_file_info(pafs.FileSelector(self.path(""), allow_not_found=True))
        return {f.base_name for f in found}

    def size(self, name: str) -> int | None:
        """Bytes of a file; None when it is missing."""
        with self._refusals(name):
            info = self.fs.get_file_info(self.path(name))
        return int(info.size) if info.type == pafs.FileType.File else None

    def age(self, name: str) -> float:
        """Seconds since the file was put in place."""
        with self._refusals(name):
            return time.time() - float(self.fs.get_file_info(self.path(name)).mtime_ns) / 1e9

    def read(self, name: str) -> bytes:
        """The whole file. Raises FileNotFoundError when it is missing."""
        with self._refusals(name), self.fs.open_input_stream(self.path(name)) as stream:
            data: bytes = stream.read()
        return data

    def open(self, name: str) -> pa.NativeFile:
        """A random-access file, for Parquet. Raises FileNotFoundError when it is missing."""
        with self._refusals(name):
            return self.fs.open_input_file(self.path(name))

    def write(self, name: str, data: bytes) -> None:
        """Put the whole file in place, atomically."""
        staged = self.stage(name)
        with self._writing(name):
            try:
                staged.write_bytes(data)
            except OSError:
                staged.unlink(missing_ok=True)
                raise
        self.publish(staged, name)

    def write_all(self, files: Mapping[str, bytes]) -> None:
        """Put many files in place, each of them atomically: synced together, for one by one each takes milliseconds."""
        if not files:
            return
        if self.local is None:
            for name, data in files.items():
                self.write(name, data)
            return
        staged: dict[str, Path] = {}
        try:
            for name, data in files.items():
                staged[name] = self.stage(name)
                with self._writing(name):
                    staged[name].write_bytes(data)
            os.sync()
            for name, path in staged.items():
                with self._writing(name):
                    os.replace(path, self.local / name)
        finally:
            for path in staged.values():
                path.unlink(missing_ok=True)
        os.sync()

    def stage(self, name: str) -> Path:
        """A local path to write `name`'s bytes to, before `publish`."""
        with self._writing(name):
            if self.local is None:
                if self._staging is None:
                    self._staging = TemporaryFolder("staging")
                return self._staging.path / hashlib.sha256(name.encode()).hexdigest()
            place = self.local / name
            place.parent.mkdir(parents=True, exist_ok=True)
            return place.with_name(f"{TEMPORARY}{place.name}")

    def publish(self, staged: Path, name: str) -> None:
        """Sync the staged file and give it its name, replacing what had it."""
        with self._writing(name):
            if self.local is None:
                with (
                    staged.open("rb") as source,
                    self.fs.open_output_stream(self.path(name)) as out,
                ):
                    shutil.copyfileobj(source, out, 8 << 20)
                staged.unlink()
                return
            place = self.local / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with staged.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(staged, place)
            folder = os.open(place.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def link(self, name: str, other: str) -> bool:
        """Give a published file a second name, replacing what had it; whether the file system can do so.

        A hard link, and where there are none a symbolic one. Folders only, and by one process at a time.
        """
        assert self.local is not None
        source, place, staged = self.local / name, self.local / other, self.local / f"{TEMPORARY}link"
        with self._writing(other):
            place.parent.mkdir(parents=True, exist_ok=True)
            staged.unlink(missing_ok=True)  # of a process that was killed
            for make, target in ((os.link, source), (os.symlink, os.path.relpath(source, place.parent))):
                try:
                    make(target, staged)
                    break
                except OSError as error:
                    if error.errno not in _NO_LINKS:
                        raise
            else:
                return False
            os.replace(staged, place)
        return True

    def rename(self, old: str, new: str) -> None:
        """Give a published file another name, replacing what had it."""
        with self._writing(new):
            self.fs.move(self.path(old), self.path(new))

    def delete(self, name: str) -> None:
        """Remove a file; a missing one is no error."""
        with self._refusals(name):
            if self.exists(name):
                self.fs.delete_file(self.path(name))

    @contextmanager
    def lock(self, name: str, wait: float = 0.0) -> Iterator[None]:
        """Hold `name` for one writer, until the block ends or the process dies.

        Raises LockedError when another one still holds it after `wait` seconds. Object storage has no lock: give
        each repository to one worker (two would write the same bytes, and the shorter stream might be published last).
        """
        if self.local is None:
            yield
            return
        with self._writing(name):
            place = self.local / name
            place.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            until = time.monotonic() + wait
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() >= until:
                        raise LockedError(
                            f"{place}: another process holds this lock; wait for it to end, then run again"
                        ) from error
                time.sleep(0.05)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _refusals(self, name: str) -> Iterator[None]:
        """While reading: a missing file is the caller's to judge."""
        try:
            yield
        except (FileNotFoundError, WarehouseError):
            raise
        except OSError as error:
            raise self.refused(name, error) from error

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        """While writing: a missing file means that its folder cannot be made (below /proc, say)."""
        try:
            with self._refusals(name):
                yield
        except FileNotFoundError as error:
            raise self.refused(name, error) from error

    def refused(self, name: str, error: Exception) -> WarehouseError:
        """One line about a file that could not be read or written."""
        number = errno_of(error)
        reason = os.strerror(number) if number else str(error).splitlines()[0]
        if number in _NO_FOLDER:
            return WarehouseError(f"warehouse {self.url}: there can be no folder ({reason}); name another one")
        return WarehouseError(
            f"{self.url}/{name}: {reason}; nothing half-written is left: make it writable or free some space, "
            "then run the same command again to go on"
        )


def _literally(path: str) -> str:
    """A path as a pattern that matches this path alone."""
    return re.sub(r"[*?\[]", lambda special: f"[{special[0]}]", path)


def errno_of(error: Exception) -> int | None:
    """The system's error number; Arrow has it in its message only."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = re.search(r"\[errno (\d+)\]", str(error), re.IGNORECASE)
    return int(found[1]) if found else None


def _s3(url: str) -> pafs.FileSystem:
    from schema.bucket import s3_filesystem  # its libraries take a tenth of a start, and most warehouses are folders

    try:
        return s3_filesystem()
    except OSError as error:
        raise WarehouseError(f"warehouse {url}: {error}") from error
