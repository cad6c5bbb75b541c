"""The schema's version: readers accept any minor of their own major."""

from schema.errors import SchemaVersionError

SCHEMA_VERSION = "1.0"


HARVEST_AGAIN = "harvest again into a new folder: python -m flows.harvest --repo PATH --warehouse NEW_FOLDER"


def check_version(found: str | None, where: str, remedy: str = HARVEST_AGAIN) -> None:
    """Raise SchemaVersionError unless `found` has this package's major version; `remedy` says what to do then."""
    ours = SCHEMA_VERSION.split(".")[0]
    if found is None or found.split(".")[0] != ours:
        raise SchemaVersionError(f"{where}: schema version {found or 'missing'}, this gitreel reads {ours}.x; {remedy}")
