"""Which licence a repository is under, as an SPDX id, and whether that may be harvested.

GitHub's API says it for repositories found there. For others the licence file at the newest commit is recognised by
phrases that its standard text holds; anything unsure is None, never a guess.
"""

import re

from pipeline.git.objects import Blobs
from pipeline.git.repository import Location, opened

# Permissive: keep the notice, nothing else. SPDX ids; the default allow-list.
PERMISSIVE = (
    "0BSD", "AFL-3.0", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-3-Clause-Clear", "BSL-1.0",
    "CC0-1.0", "ISC", "MIT", "MIT-0", "NCSA", "PostgreSQL", "PSF-2.0", "Unlicense", "UPL-1.0", "WTFPL", "Zlib",
)  # fmt: skip
_NAME = re.compile(rb"(?i)(un)?licen[cs]e([-.](txt|md|rst|mit|bsd|apache.*))?|copying([-.](txt|md|rst))?")
_MAX_BYTES = 100_000
# (SPDX id, phrases that must all be there, phrases that must not), most specific first; spaces folded, lower case
_TEXTS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("AGPL-3.0", ("gnu affero general public license", "version 3"), ()),
    ("LGPL-3.0", ("gnu lesser general public license", "version 3"), ()),
    ("LGPL-2.1", ("gnu lesser general public license", "version 2.1"), ()),
    ("GPL-3.0", ("gnu general public license", "version 3"), ()),
    ("GPL-2.0", ("gnu general public license", "version 2"), ()),
    ("MPL-2.0", ("mozilla public license", "version 2.0"), ()),
    ("Apache-2.0", ("apache license", "version 2.0"), ()),
    ("BSL-1.0", ("boost software license - version 1.0",), ()),
    ("CC0-1.0", ("cc0 1.0 universal",), ()),
    ("Unlicense", ("free and unencumbered software released into the public domain",), ()),
    ("Zlib", ("this software is provided 'as-is'", "altered source versions must be plainly marked"), ()),
    ("WTFPL", ("do what the fuck you want to public license",), ()),
    ("PostgreSQL", ("permission to use, copy, modify, and distribute this software and its documentation",), ()),
    (
        "BSD-3-Clause",
        ("redistribution and use in source and binary forms", "endorse or promote products"),
        ("all advertising materials",),
    ),
    (
        "BSD-2-Clause",
        ("redistribution and use in source and binary forms", "redistributions in binary form"),
        ("endorse or promote", "all advertising materials"),
    ),
    (
        "MIT-0",
        ("permission is hereby granted, free of charge, to any person obtaining a copy",),
        ("the above copyright notice and this permission notice",),
    ),
    (
        "MIT",
        (
            "permission is hereby granted, free of charge, to any person obtaining a copy",
            "the above copyright notice and this permission notice",
        ),
        ("not be used in advertising", "shall be used for good"),
    ),
    (
        "ISC",
        (
            "permission to use, copy, modify, and/or distribute this software for any",
            "the above copyright notice and this permission notice appear in all copies",
        ),
        (),
    ),
    ("0BSD", ("permission to use, copy, modify, and/or distribute this software for any",), ()),
)


def licence_of(git_dir: Location, tip: str) -> str | None:
    """The SPDX id of the licence file in the root folder of `tip`; None when there is none or it is not known."""
    repository = opened(git_dir)
    listed = repository.ask("ls-tree", "-z", tip)
    entries: dict[bytes, str] = {}
    for line in listed.stdout.split(b"\0"):
        meta, _, name = line.partition(b"\t")
        if _NAME.fullmatch(name) and meta.split()[1] == b"blob":
            entries[name] = meta.split()[2].decode()
    with Blobs(repository) as blobs:
        names = sorted(entries)
        sizes = blobs.sizes(entries.values())
        for name in names:
            size = sizes[entries[name]]
            content = blobs.read(entries[name]) if size is not None and size <= _MAX_BYTES else None
            if content and (found := recognise(content)):
                return found
    return None


def recognise(content: bytes) -> str | None:
    """The SPDX id of a licence's full text, None if it is not one of the known ones."""
    folded = re.sub(r"[\s*>#;/]+", " ", content.decode("utf-8", "replace").replace("\u2019", "'").lower())
    for spdx, needed, forbidden in _TEXTS:
        # the GNU licences name each other: only their heading tells them apart
        text = folded[:400] if "GPL" in spdx else folded
        if all(phrase in text for phrase in needed) and not any(phrase in folded for phrase in forbidden):
            return spdx
    return None


def licence_filter(
    licence: str | None, allowed: tuple[str, ...] = PERMISSIVE, *, allow_unknown: bool = False
) -> tuple[bool, str]:
    """Keep allowed SPDX ids. Reasons: 'licence-unknown', 'licence-refused'."""
    if licence in (None, "NOASSERTION", ""):
        return (True, "") if allow_unknown else (False, "licence-unknown")
    return (True, "") if licence in allowed else (False, "licence-refused")
