"""A file that appears whole or not at all."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from schema.errors import WarehouseError


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A path to write to, which takes the name `target` when the block ends well and is removed when it does not.

    Raises WarehouseError when it cannot be written. An error of the block that is one already passes as it is.
    """
    part = target.with_name(target.name + ".part")
    try:
        yield part
        part.replace(target)
    except WarehouseError:  # of what is read to fill the file
        raise
    except OSError as error:
        raise WarehouseError(f"{target}: cannot be written ({error.strerror}); choose another file") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
