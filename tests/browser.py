"""A real browser without a window, driven over a pipe (Chrome's DevTools protocol): no port, no network, no driver.

with Browser(folder) as browser:
    page = browser.open(path)
    page.evaluate("document.title")
"""

import base64
import json
import os
import select
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import pytest
from PIL import Image

GUARD = 60.0  # seconds without a word from the browser, after which it is taken for dead
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--force-device-scale-factor=1",
    "--disable-font-subpixel-positioning", "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
)  # fmt: skip


def need_browser() -> str:
    """The browser's program; the test is skipped where there is none, and fails in CI."""
    for name in PROGRAMS:
        if found := shutil.which(name):
            return found
    reason = "needs a browser; run: apt-get install chromium"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class Browser:
    """A browser with a profile of its own in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._read = b""

    def __enter__(self) -> "Browser":
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()
        arguments = [need_browser(), *FLAGS, f"--user-data-dir={self._folder}/profile", "about:blank"]
        self._errors = (self._folder / "browser.log").open("wb")
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{from_write}', "bash", *arguments],
            pass_fds=(to_read, from_write),
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
            env={**os.environ, "HOME": str(self._folder), "XDG_CONFIG_HOME": str(self._folder)},
        )
        os.close(to_read)
        os.close(from_write)
        self._out: IO[bytes] = open(to_write, "wb", buffering=0)
        self._in: IO[bytes] = open(from_read, "rb", buffering=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._out.close()
        self._process.terminate()
        self._process.wait()
        self._in.close()
        self._errors.close()

    def ask(self, method: str, parameters: dict[str, Any], session: str | None = None, events: Any = None) -> Any:
        """Send one command and return its result; what happens meanwhile is appended to `events`."""
        self._count += 1
        command = {"id": self._count, "method": method, "params": parameters}
        if session:
            command["sessionId"] = session
        self._out.write(json.dumps(command).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._count:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            if events is not None:
                events.append(message)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._in], [], [], GUARD)
            part = os.read(self._in.fileno(), 1 << 20) if ready else b""
            assert part, f"the browser does not answer: {(self._folder / 'browser.log').read_text()[-2_000:]}"
            self._read += part
        message, _, self._read = self._read.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def open(self, path: Path, fragment: str = "", *, width: int = 1200, height: int = 900) -> "Tab":
        """A file in a tab of its own, loaded."""
        return Tab(self, path, fragment, width, height)


class Tab:
    """One page. `events`: what the browser told meanwhile."""

    def __init__(self, browser: Browser, path: Path, fragment: str, width: int, height: int) -> None:
        self.browser = browser
        self.events: list[dict[str, Any]] = []
        self.target: str = browser.ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = browser.ask("Target.attachToTarget", {"targetId": self.target, "flatten": True})
        self.session: str = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.resize(width, height)
        self.ask("Page.navigate", url=path.absolute().as_uri() + fragment)
        self.evaluate("new Promise(done => { if (document.readyState == 'complete') done(1); onload = () => done(1) })")

    def close(self) -> None:
        """The page goes."""
        self.browser.ask("Target.closeTarget", {"targetId": self.target})

    def ask(self, method: str, **parameters: Any) -> Any:
        """One command of the protocol to this page."""
        return self.browser.ask(method, parameters, self.session, self.events)

    def resize(self, width: int, height: int) -> None:
        """Give the page another width and height, pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **size)

    def scheme(self, name: str) -> None:
        """Let the system ask for a dark or light page."""
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def evaluate(self, expression: str) -> Any:
        """The value of some JavaScript; a promise's once it is there."""
        answer = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until some JavaScript is true; the page itself asks."""
        self.evaluate(
            "new Promise(done => { const ask = () => { try { if (" + condition + ") return done(1); } catch {} "
            "setTimeout(ask, 10); }; ask(); })"
        )

    def press(self, key: str, *, shift: bool = False) -> None:
        """A key, as from a keyboard."""
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, modifiers=8 if shift else 0, **text)

    def picture(self) -> Image.Image:
        """What the page looks like."""
        shot = self.ask("Page.captureScreenshot", format="png")
        return Image.open(BytesIO(base64.b64decode(shot["data"]))).convert("RGB")

    def errors(self) -> list[dict[str, Any]]:
        """Exceptions of scripts, refusals of the page's policy, and requests to anywhere but the file itself."""
        return [
            event
            for event in self.events
            if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening")
            or (
                event["method"] == "Network.requestWillBeSent"
                and not event["params"]["request"]["url"].startswith(("file:", "data:", "blob:"))
            )
        ]
