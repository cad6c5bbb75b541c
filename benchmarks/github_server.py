"""A local HTTP server that speaks GitHub's REST API and serves clones over smart HTTP (`git http-backend`).

    with GitHubServer(folder) as server:
        server.add("octo/film", bare_git_dir, stars=7)
        Github(base_url=server.api) ; git fetch server.url("octo/film")

Search qualifiers, pagination with Link headers, the 1,000-result cap, ETags, rate-limit headers, renames (301),
blocked (451), authentication (401) and scripted failures behave as GitHub documents them.
`python -m benchmarks.github_server FOLDER [PORT]` serves every bare repository below FOLDER by hand.
"""

import argparse
import base64
import contextlib
import hashlib
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from schema.errors import clear_errors

API = "/api/v3"
CAP = 1000


class Failure(NamedTuple):
    """Answered instead of the real thing to the next request whose path contains `match`."""

    match: str
    status: int
    headers: Mapping[str, str] = MappingProxyType({})
    body: dict[str, Any] | None = None


class GitHubServer:
    """The server; also its own database. `requests` logs (method, path with query, status)."""

    def __init__(self, root: Path, *, token: str | None = None, port: int = 0) -> None:
        self.root, self.token = root, token
        self.repositories: dict[str, dict[str, Any]] = {}
        self.git_dirs: dict[str, Path] = {}
        self.renamed: dict[str, str] = {}
        self.blocked: set[str] = set()
        self.private = False  # clones want the token, too
        self.failures: list[Failure] = []
        self.requests: list[tuple[str, str, int]] = []
        self.seen_tokens: set[str] = set()
        self.remaining = 5000
        self.incomplete = False  # every search gives up early
        self.open = threading.Event()  # cleared: it accepts and answers nobody
        self.open.set()
        handler = type("Handler", (_Handler,), {"hub": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def api(self) -> str:
        return self.origin + API

    def url(self, name: str) -> str:
        return f"{self.origin}/{name}.git"

    def __enter__(self) -> "GitHubServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def add(self, name: str, git_dir: Path | None = None, **fields: Any) -> dict[str, Any]:
        """Register a repository. `licence` is an SPDX id; other fields are GitHub's own."""
        owner, short = name.split("/")
        number = len(self.repositories) + 1
        spdx = fields.pop("licence", "MIT")
        owner_type = fields.pop("owner_type", "User")
        repository = {
            "id": number, "node_id": f"R_{number}", "name": short, "full_name": name, "private": False,
            "owner": {"login": owner, "id": 1, "type": owner_type, "url": f"{self.api}/users/{owner}"},
            "html_url": f"{self.origin}/{name}", "url": f"{self.api}/repos/{name}", "fork": False,
            "clone_url": self.url(name), "git_url": self.url(name), "language": "Python", "size": 10,
            "stargazers_count": 1, "archived": False, "disabled": False, "default_branch": "main",
            "created_at": "2020-01-01T00:00:00Z", "pushed_at": "2024-01-01T00:00:00Z",
            "updated_at": "2024-01-01T00:00:00Z", "description": None, "topics": [],
            "license": None if spdx is None else {
                "key": spdx.lower(), "name": spdx, "spdx_id": spdx, "url": None, "node_id": "L"},
        } | fields  # fmt: skip
        if "stars" in repository:
            repository["stargazers_count"] = repository.pop("stars")
        self.repositories[name] = repository
        if git_dir is not None:
            self.git_dirs[name] = git_dir
        return repository

    def fail(self, match: str, status: int, times: int = 1, body: dict[str, Any] | None = None, **headers: str) -> None:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        self.failures += [Failure(match, status, named, body)] * times


class _Handler(BaseHTTPRequestHandler):
    hub: GitHubServer
    protocol_version = "HTTP/1.1"
    server_version = "GitHub.test"

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: `hub.requests` is the log."""

    def do_POST(self) -> None:
        with contextlib.suppress(ConnectionError):  # a killed client
            self._answer()

    do_GET = do_POST

    def _answer(self) -> None:
        self.hub.open.wait()
        length = int(self.headers.get("Content-Length") or 0)
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(length)
        for failure in self.hub.failures:
            if failure.match in self.path:
                self.hub.failures.remove(failure)
                self._json(failure.body or {"message": f"scripted {failure.status}"}, failure.status, failure.headers)
                return
        if not self._authorised():
            self._json({"message": "Bad credentials"}, 401, {"WWW-Authenticate": 'Basic realm="GitHub"'})
        elif self.path.startswith(API):
            self._api(urlsplit(self.path[len(API) :]))
        else:
            self._git(body)

    def _authorised(self) -> bool:
        given = self.headers.get("Authorization")
        if given is None:
            return not self.hub.private or self.path.startswith(API)
        kind, _, value = given.partition(" ")
        if kind.lower() == "basic":
            value = base64.b64decode(value).decode().partition(":")[2]
        self.hub.seen_tokens.add(value)
        return self.hub.token is None or value == self.hub.token

    def _api(self, url: Any) -> None:
        hub, path, query = self.hub, unquote(url.path), dict(parse_qsl(url.query))
        if path == "/search/repositories":
            self._search(query)
        elif match := re.fullmatch(r"/(?:orgs|users)/([^/]+)", path):
            owners = [r["owner"] for r in hub.repositories.values() if r["owner"]["login"] == match[1]]
            wanted = "Organization" if path.startswith("/orgs") else None
            if owners and (wanted is None or owners[0]["type"] == wanted):
                urls = {"repos_url": f"{hub.api}/users/{match[1]}/repos", "url": hub.api + path}
                self._json(owners[0] | urls)
            else:
                self._json({"message": "Not Found"}, 404)
        elif match := re.fullmatch(r"/(?:orgs|users)/([^/]+)/repos", path):
            found = [r for r in hub.repositories.values() if r["owner"]["login"] == match[1]]
            self._page(found, query, path)
        elif match := re.fullmatch(r"/repos/([^/]+/[^/]+)", path):
            self._repository(match[1])
        elif match := re.fullmatch(r"/repositories/(\d+)", path):
            found = [r for r in hub.repositories.values() if r["id"] == int(match[1])]
            self._json(found[0]) if found else self._json({"message": "Not Found"}, 404)
        elif path == "/rate_limit":
            core = {"limit": 5000, "remaining": hub.remaining, "reset": int(time.time()) + 60, "used": 0}
            self._json({"resources": {"core": core, "search": core}, "rate": core})
        else:
            self._json({"message": "Not Found"}, 404)

    def _repository(self, name: str) -> None:
        hub = self.hub
        if name in hub.renamed:
            target = hub.repositories[hub.renamed[name]]
            location = f"{hub.api}/repositories/{target['id']}"
            self._json({"message": "Moved Permanently", "url": location}, 301, {"Location": location})
        elif name in hub.blocked:
            self._json({"message": "Repository access blocked", "block": {"reason": "dmca"}}, 451)
        elif name in hub.repositories:
            self._json(hub.repositories[name])
        else:
            self._json({"message": "Not Found"}, 404)

    def _search(self, query: dict[str, str]) -> None:
        found = [r for r in self.hub.repositories.values() if matches(r, query.get("q", ""))]
        key = {"stars": "stargazers_count", "updated": "updated_at"}.get(query.get("sort", ""), "id")
        found.sort(key=lambda r: (r[key], r["id"]), reverse=query.get("order", "desc") == "desc" and key != "id")
        page, size = int(query.get("page", 1)), min(100, int(query.get("per_page", 30)))
        if (page - 1) * size >= CAP:
            self._json({"message": "Only the first 1000 search results are available"}, 422)
            return
        items = found[:CAP][(page - 1) * size : page * size]
        shape = {"total_count": len(found), "incomplete_results": self.hub.incomplete, "items": items}
        self._json(shape, 200, self._links(min(len(found), CAP), query, "/search/repositories"))

    def _page(self, found: list[dict[str, Any]], query: dict[str, str], path: str) -> None:
        page, size = int(query.get("page", 1)), min(100, int(query.get("per_page", 30)))
        self._json(found[(page - 1) * size : page * size], 200, self._links(len(found), query, path))

    def _links(self, total: int, query: dict[str, str], path: str) -> dict[str, str]:
        page, size = int(query.get("page", 1)), min(100, int(query.get("per_page", 30)))
        last = max(1, -(-total // size))
        if page >= last:
            return {}

        def link(number: int, name: str) -> str:
            arguments = urlencode(query | {"page": str(number)})
            return f'<{self.hub.api}{path}?{arguments}>; rel="{name}"'

        return {"Link": ", ".join([link(page + 1, "next"), link(last, "last")])}

    def _json(self, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        hub = self.hub
        text = json.dumps(value).encode()
        tag = f'"{hashlib.sha256(text).hexdigest()[:32]}"'
        if status == 200 and self.headers.get("If-None-Match") == tag:
            status, text = 304, b""
        elif self.path.startswith(API):
            hub.remaining -= 1  # a 304 is free
        hub.requests.append((self.command, self.path, status))
        self.send_response(status)
        rate = {
            "X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": str(hub.remaining), "X-RateLimit-Used": "1",
            "X-RateLimit-Reset": str(int(time.time()) + 60), "X-RateLimit-Resource": "core", "ETag": tag,
            "Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(text)),
        }  # fmt: skip
        for name, content in (rate | dict(headers or {})).items():
            self.send_header(name, content)
        self.end_headers()
        self.wfile.write(text)

    def _git(self, body: bytes) -> None:
        hub, url = self.hub, urlsplit(self.path)
        match = re.fullmatch(r"/((?:[^/]+/)+[^/]+?)(?:\.git)?(/(?:info/refs|git-upload-pack))", unquote(url.path))
        name = match[1] if match else ""
        name = hub.renamed.get(name, name)
        if match is None or name not in hub.git_dirs or name in hub.blocked:
            self._json({"message": "Not Found"}, 404)
            return
        env = {
            "PATH": os.environ["PATH"], "GIT_HTTP_EXPORT_ALL": "1", "REQUEST_METHOD": self.command,
            "GIT_PROJECT_ROOT": str(hub.git_dirs[name]), "PATH_INFO": match[2], "QUERY_STRING": url.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "REMOTE_ADDR": "127.0.0.1",
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = [line.partition(b": ") for line in head.split(b"\r\n") if line]
        headers = {key.decode(): value.decode() for key, _, value in fields}
        status = int(headers.pop("Status", "200" if head else "500").split()[0])
        hub.requests.append((self.command, self.path, status))
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content)


_FIELDS = {"stars": "stargazers_count", "size": "size", "created": "created_at", "pushed": "pushed_at"}


def matches(repository: dict[str, Any], query: str) -> bool:
    """Whether `repository` answers GitHub's search `query` (the qualifiers that gitreel uses)."""
    for term in re.findall(r'[\w-]+:"[^"]*"|\S+', query):
        name, _, value = term.partition(":")
        value = value.strip('"')
        if name in _FIELDS:
            if not _within(repository[_FIELDS[name]], value):
                return False
        elif name == "language":
            if (repository["language"] or "").lower() != value.lower():
                return False
        elif name == "license":
            if (repository["license"] or {}).get("key") != value.lower():
                return False
        elif name in ("user", "org"):
            if repository["owner"]["login"] != value:
                return False
        elif name == "archived":
            if repository["archived"] != (value == "true"):
                return False
        elif name != "fork" and term not in repository["full_name"]:
            return False
    return "fork:" in query or not repository["fork"]


def _within(found: int | str, wanted: str) -> bool:
    def number(text: str) -> float:
        if re.fullmatch(r"\d+", text):
            return float(text)
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()

    value = float(found) if isinstance(found, int) else number(found)
    if ".." in wanted:
        low, high = wanted.split("..")
        return (low == "*" or number(low) <= value) and (high == "*" or value <= number(high))
    operator, text = re.fullmatch(r"(>=|<=|>|<)?(.*)", wanted).groups()
    bound = number(text)
    return {">=": value >= bound, "<=": value <= bound, ">": value > bound, "<": value < bound}.get(
        operator or "", value == bound
    )


@clear_errors
def main(arguments: list[str] | None = None) -> int:
    """Serve bare repositories until interrupted."""
    flags = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    flags.add_argument("folder", type=Path, help="holds bare repositories: owner+name/repo or owner/name.git")
    flags.add_argument("port", type=int, nargs="?", default=0, help="default: a free one")
    options = flags.parse_args(arguments)
    if not 0 <= options.port < 1 << 16:
        flags.error(f"port {options.port}: write a number from 0 to 65535")
    root: Path = options.folder
    with GitHubServer(root, token=os.environ.get("EXPECTED_TOKEN"), port=options.port) as server:
        for head in sorted([*root.glob("*/*/HEAD"), *root.glob("*/HEAD")]):
            folder = head.parent
            name = "/".join(folder.relative_to(root).parts).removesuffix(".git").replace("+", "/")
            server.add("/".join(name.split("/")[:2]), folder, licence=None if "fbam" in name else "MIT")
        print(server.api, *server.repositories, sep="\n", flush=True)
        threading.Event().wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
