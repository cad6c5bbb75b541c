"""Tree objects as git writes them, read entry by entry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.git.entries import DIRECTORY, EXECUTABLE, GITLINK, REGULAR, SYMLINK, Entry, tree_entries

NAMES = st.binary(max_size=12).map(lambda name: name.replace(b"\0", b" "))  # an empty name is a hostile tree's
MODES = st.sampled_from([DIRECTORY, EXECUTABLE, GITLINK, REGULAR, SYMLINK])


@given(st.sampled_from([20, 32]), st.data())
def test_every_entry_is_read_whatever_bytes_its_name_and_id_hold(oid_bytes: int, data: st.DataObject) -> None:
    ids = st.one_of(st.binary(min_size=oid_bytes, max_size=oid_bytes), st.just(b"\0 1\n" * (oid_bytes // 4)))
    entries = data.draw(st.dictionaries(NAMES, st.tuples(MODES, ids), max_size=6))
    content = b"".join(b"%o %b\0%b" % (mode, name, oid) for name, (mode, oid) in entries.items())
    assert tree_entries(content, oid_bytes) == {name: Entry(mode, oid.hex()) for name, (mode, oid) in entries.items()}


@pytest.mark.parametrize(
    "content", [b"x", b"100644 a", b"100644 a\0" + b"i" * 19, b"100694 a\0" + b"i" * 20, b"\n" * 30]
)
def test_what_is_no_tree_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a tree"):
        tree_entries(content, 20)
