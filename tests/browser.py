"""Work pages in a headless Chromium, over the pipe of its DevTools protocol: no driver is needed.

Chromium reads commands from its file descriptor 3 and writes answers and events to 4, each a JSON
text that ends with a zero byte.
"""

import json
import os
import select
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.publish.app_files import SCRIPTS, SOURCES

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None,
    reason="CHROMIUM IS MISSING: the pages are not looked at; install chromium to test them",
)
FLAGS = (
    "headless no-sandbox disable-gpu disable-background-networking disable-component-update "
    "disable-sync no-first-run remote-debugging-pipe"
).split()
NOWHERE = "host-resolver-rules=MAP * ~NOTFOUND"
PATIENCE = 30.0
"""So many seconds an answer may take on a loaded machine."""
KEYS = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}


class Browser:
    """A Chromium with one page."""

    def __init__(self, profile: Path) -> None:
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        flags = [f"--{flag}" for flag in (*FLAGS, NOWHERE, f"user-data-dir={profile}")]
        self._process = os.posix_spawn(
            str(CHROMIUM),
            [str(CHROMIUM), *flags],
            dict(os.environ),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, commands, 3),
                (os.POSIX_SPAWN_DUP2, answers, 4),
                *((os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0o600) for fd in (1, 2)),
            ],
        )
        os.close(commands)
        os.close(answers)
        self._read, self._number, self._session = b"", 0, ""
        self._loaded = 0
        self.console: list[str] = []
        self.requests: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: object) -> dict[str, Any]:
        """Give a command and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            heard = self._next()
            if heard.get("id") == self._number:
                assert "error" not in heard, heard
                return heard["result"]

    def _next(self) -> dict[str, Any]:
        """Read one message; an event is noted."""
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._answers], [], [], deadline - time.monotonic())
            assert ready, "Chromium does not answer"
            received = os.read(self._answers, 1 << 16)
            assert received, "Chromium has ended"
            self._read += received
        message, self._read = self._read.split(b"\0", maxsplit=1)
        heard: dict[str, Any] = json.loads(message)
        self._note(heard.get("method", ""), heard.get("params", {}))
        return heard

    def _note(self, event: str, told: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded += 1
        elif event in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}:
            self.console.append(json.dumps(told))
        elif event == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])

    def open(self, address: str, width: int = 1400, height: int = 1000) -> None:
        """Open a page in a window of a size in CSS pixels, and wait until it is loaded."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        self.send("Page.navigate", url="about:blank")
        self.until("location.href === 'about:blank'")
        self.console.clear()
        self.requests.clear()
        loaded = self._loaded
        self.send("Page.navigate", url=address)
        while self._loaded == loaded:
            self._next()

    def evaluate(self, expression: str) -> Any:
        """Give the value of a JavaScript expression; a promise is waited for."""
        told = self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until a JavaScript expression holds."""
        deadline = time.monotonic() + PATIENCE
        while not self.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < deadline, f"never: {expression}"
            time.sleep(0.05)

    def press(self, key: str) -> None:
        """Press a key."""
        event = {"key": key, "windowsVirtualKeyCode": KEYS.get(key, 0)}
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", **event, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", **event)

    def close(self) -> None:
        """End Chromium; its pipe is its life line."""
        os.close(self._commands)
        os.waitpid(self._process, 0)
        os.close(self._answers)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Give a browser to the tests of a module."""
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


def computed(browser: Browser, folder: Path, script: str) -> Any:
    """Let the browser compute ``script``, the body of a function that sees all parts of app.js."""
    parts = "\n".join((SOURCES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    page = folder / "probe.html"
    page.write_text(
        '<!DOCTYPE html><meta charset="utf-8"><body><main></main><script src="probe.js"></script>',
        encoding="utf-8",
    )
    probe = f"{parts}\nwindow.probe = async () => {{{script}}};\n"
    (folder / "probe.js").write_text(probe, encoding="utf-8")
    browser.open(page.as_uri())
    return browser.evaluate("probe()")
