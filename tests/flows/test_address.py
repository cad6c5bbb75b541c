"""Where Prefect's API is: what names it, in which order, and whether it is Prefect that answers."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flows.address import Address, answers, named


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH", "PREFECT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path


def profiles(folder, active="mine"):
    (folder / "home/profiles.toml").write_text(
        f'active = "{active}"\n[profiles.mine]\nPREFECT_API_URL = "http://mine/api"\n'
        '[profiles.other]\nPREFECT_API_URL = "http://other/api"\n'
        "[profiles.ephemeral]\nPREFECT_SERVER_ALLOW_EPHEMERAL_MODE = true\n"
    )


def test_nothing_names_one(folder):
    assert named() is None
    profiles(folder, "ephemeral")
    assert named() is None
    (folder / "prefect.toml").write_text("[server]\nlogging_level = 'INFO'\n")
    (folder / "pyproject.toml").write_text("not toml at all [")
    assert named() is None


def test_the_environment_comes_before_files_and_files_before_the_profile(folder, monkeypatch):
    profiles(folder)
    assert named() == Address("http://mine/api", "profile 'mine'")
    monkeypatch.setenv("PREFECT_PROFILE", "other")
    assert named() == Address("http://other/api", "profile 'other'")
    (folder / "pyproject.toml").write_text('[tool.prefect.api]\nurl = "http://project/api"\n')
    assert named() == Address("http://project/api", "pyproject.toml")
    (folder / "prefect.toml").write_text('[api]\nurl = "http://file/api"\n')
    assert named() == Address("http://file/api", "prefect.toml")
    monkeypatch.setenv("PREFECT_API_URL", "http://environment/api")
    assert named() == Address("http://environment/api", "PREFECT_API_URL")


class Handler(BaseHTTPRequestHandler):
    seen: list[tuple[str, str | None]]

    def log_message(self, format, *args):
        """Quiet."""

    def do_GET(self):
        self.seen.append((self.path, self.headers.get("Authorization")))
        kinds = {"/prefect/health": ("application/json", b"true"), "/app/health": ("text/html", b"<html>")}
        if self.path == "/moved/health":
            self.send_response(302)
            self.send_header("Location", "/prefect/health")
            self.end_headers()
            return
        kind, body = kinds.get(self.path, ("text/plain", b""))
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server():
    handler = type("Recording", (Handler,), {"seen": []})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{http.server_address[1]}", handler.seen
    http.shutdown()
    http.server_close()
    thread.join()


def test_only_prefect_answers_as_prefect(folder, server):
    url, _ = server
    assert answers(f"{url}/prefect")
    assert answers(f"{url}/prefect/")
    assert not answers(f"{url}/app")  # some other program's page for every address
    assert not answers(f"{url}/none")
    assert not answers("ftp://127.0.0.1/api")


def test_credentials_are_shown_to_the_named_server_and_follow_no_redirection(folder, server, monkeypatch):
    url, seen = server
    monkeypatch.setenv("PREFECT_API_KEY", "marked")
    assert answers(f"{url}/prefect")
    assert not answers(f"{url}/moved")
    assert seen == [("/prefect/health", "Bearer marked"), ("/moved/health", "Bearer marked")]
