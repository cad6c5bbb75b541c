"""One page from a template, its styles, its scripts and its data, as a single HTML file.

What a page shows comes from repositories that anybody may have written. Three things keep it inert, each enough alone:
markup is escaped by the template (Jinja2's autoescape), data stands in JSON in which no `<`, `>` or `&` is left, and
scripts put it into the document as text only. The page's policy lets only its own script run, by its hash, and lets
nothing be loaded from anywhere.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import ChoiceLoader, Environment, FunctionLoader, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from schema.pages.files import whole_file


class Page(NamedTuple):
    """What a page is made of. `package` holds its template, and names of styles and scripts are files in it.

    `values` fill the template. `data` becomes JSON that scripts read by its name (screen.js: `pageData(name)`); it is
    read after the blocks have been written, so that it may tell of them.
    """

    package: str
    template: str
    title: str
    styles: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    data: Mapping[str, Any] = {}
    values: Mapping[str, Any] = {}


def write_page(page: Page, target: Path, blocks: Iterable[tuple[str, str]] = ()) -> int:
    """Write the page to a file, whole or not at all, and return its size in bytes.

    `blocks` are (name, `packed` value), each written as it comes and unpacked by the page only when it is looked at.
    Raises WarehouseError when the file cannot be written.
    """
    with whole_file(target) as part:
        with part.open("w", encoding="utf-8") as out:
            for piece in rendered(page, blocks):
                out.write(piece)
        return part.stat().st_size


def rendered(page: Page, blocks: Iterable[tuple[str, str]] = ()) -> Iterator[str]:
    """The page's text, piece by piece."""
    script = "\n".join(_asset(page, name) for name in ("screen.js", *page.scripts))
    template = _environment(page.package).get_template(page.template)
    yield from template.generate(
        title=page.title,
        policy=_policy(script),
        style=Markup("\n".join(_asset(page, name) for name in ("page.css", "screen.css", *page.styles))),
        script=Markup(script),
        blocks=((name, Markup(text)) for name, text in blocks),
        data=((name, htmlsafe_json_dumps(value)) for name, value in page.data.items()),
        **page.values,
    )


def packed(value: str) -> str:
    """A text compressed (zlib) and written in base64: it holds no character that means something in HTML."""
    return base64.b64encode(zlib.compress(value.encode(), 9)).decode("ascii")


def _asset(page: Page, name: str) -> str:
    """A style or script: of the page's own package, or one that all pages share."""
    own = files(page.package) / name
    found = own if own.is_file() else files("schema.pages") / name
    return found.read_text(encoding="utf-8")


def _environment(package: str) -> Environment:
    shared = files("schema.pages")
    return Environment(
        loader=ChoiceLoader(
            [PackageLoader(package, ""), FunctionLoader(lambda name: (shared / name).read_text(encoding="utf-8"))]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
