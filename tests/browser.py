"""Work pages in a real browser: Debian's headless Chromium, driven by Selenium and its own driver.

Nothing is fetched: browser and driver are named, and no host is known to the browser.
"""

import json
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
DRIVER = shutil.which("chromedriver")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="CHROMIUM OR CHROMEDRIVER IS MISSING: the pages are not looked at; install both",
)
FLAGS = (
    "headless=new no-sandbox disable-gpu disable-dev-shm-usage disable-background-networking "
    "disable-component-update disable-sync no-first-run hide-scrollbars"
).split()
NOWHERE = "host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
PATIENCE = 30.0
"""So many seconds an answer may take on a loaded machine."""


class Browser:
    """A Chromium with one page."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for flag in (*FLAGS, NOWHERE, f"user-data-dir={profile}"):
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        self.driver.set_script_timeout(PATIENCE)

    @property
    def console(self) -> list[str]:
        """List what the console said since this was asked last, from the opening of the page on."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    @property
    def requests(self) -> list[str]:
        """List the addresses asked for since this was asked last."""
        entries = self.driver.get_log("performance")
        told = (json.loads(entry["message"])["message"] for entry in entries)
        return [
            each["params"]["request"]["url"]
            for each in told
            if each["method"] == "Network.requestWillBeSent"
        ]

    def send(self, method: str, **params: object) -> Any:
        """Give a command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(method, params)

    def open(
        self, address: str, width: int = 1400, height: int = 1000, *, dark: bool = False
    ) -> None:
        """Open a page in a window of a size in CSS pixels, and wait until it is loaded."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.driver.get("about:blank")
        assert self.console is not None
        assert self.requests is not None
        self.driver.get(address)
        page = json.dumps(address.partition("#")[0])
        self.until(f"document.readyState === 'complete' && location.href.startsWith({page})")

    def evaluate(self, expression: str) -> Any:
        """Give the value of a JavaScript expression; a promise is waited for."""
        asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        told = self.send("Runtime.evaluate", **asked)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until a JavaScript expression holds."""
        deadline = time.monotonic() + PATIENCE
        while not self.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < deadline, f"never: {expression}"
            time.sleep(0.05)

    def press(self, *keys: str) -> None:
        """Press keys one after the other, each a letter or named as a browser names it."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        named = {"Enter": Keys.ENTER, "Escape": Keys.ESCAPE, "Tab": Keys.TAB}
        named |= {"ArrowLeft": Keys.ARROW_LEFT, "ArrowRight": Keys.ARROW_RIGHT}
        for key in keys:
            ActionChains(self.driver).send_keys(named.get(key, key)).perform()

    def drag(self, selector: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag with the mouse within an element, from and to pixels of its left upper corner."""
        box = self.evaluate(
            f"(({{left, top}}) => [left, top])(document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect())"
        )
        places = [(box[0] + x, box[1] + y) for x, y in (start, end)]
        middle = tuple(sum(each) / 2 for each in zip(*places, strict=True))
        steps = [("mousePressed", places[0]), ("mouseMoved", middle), ("mouseMoved", places[1])]
        for kind, (x, y) in (*steps, ("mouseReleased", places[1])):
            event = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
            self.send("Input.dispatchMouseEvent", **event)

    def close(self) -> None:
        """End Chromium."""
        self.driver.quit()


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
    browser.until("window.probe")
    return browser.evaluate("probe()")
