"""One reader of manifests for the pipeline and the trainer."""

import json

import pytest

from schema.config import ReplayConfig
from schema.errors import CorruptError, SchemaVersionError
from schema.manifest import Manifest, parse_manifest

MANIFEST = Manifest(repo_id="a/b", config=ReplayConfig())


def changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(MANIFEST.dump()), **fields}).encode()


def test_a_manifest_is_read_as_it_was_written() -> None:
    assert parse_manifest(MANIFEST.dump(), "x") == MANIFEST


@pytest.mark.parametrize("fields", [{}, {"shards": 3}, {"new": 1}], ids=str)
def test_another_version_is_the_reason_whatever_else_is_different(fields: dict[str, object]) -> None:
    with pytest.raises(SchemaVersionError, match=r"^x: schema version 2\.0, this gitreel reads 1\.x"):
        parse_manifest(changed(schema_version="2.0", **fields), "x")


def test_a_missing_version_is_refused() -> None:
    fields = json.loads(MANIFEST.dump())
    del fields["schema_version"]
    with pytest.raises(SchemaVersionError, match="schema version missing"):
        parse_manifest(json.dumps(fields).encode(), "x")


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff\xfe", b"null", b"[]", b'"x"', b"{}", b'{"schema_version": 1}', changed(config={"rows": 1})],
)
def test_what_is_no_manifest_is_one_clear_line(data: bytes) -> None:
    with pytest.raises((CorruptError, SchemaVersionError), match=r"^x: .*python -m flows\.harvest --repo PATH"):
        parse_manifest(data, "x")
