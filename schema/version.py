"""The schema's version: readers accept any minor of their own major."""

from schema.errors import SchemaVersionError

SCHEMA_VERSION = "1.0"


def check_version(found: str | None, where: str) -> None:
    """Raise SchemaVersionError unless `found` has this package's major version."""
    if found is None or found.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        raise SchemaVersionError(
            f"{where}: schema version {found or 'missing'}, this gitreel reads "
            f"{SCHEMA_VERSION.split('.')[0]}.x; harvest again into a new folder: "
            "python -m flows.harvest --repo PATH --warehouse NEW_FOLDER"
        )
