"""Chromium without a window, driven by selenium: what it opens, what it says on its console, and what it asks for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
needs_chromium = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="no chromium or chromedriver here: apt-get install chromium chromium-driver",
)


@contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile, closed afterwards."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    os.environ["SE_OFFLINE"] = os.environ["SE_AVOID_STATS"] = "true"
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


class Browser:
    """A page at a time; what it said and asked for since the last look."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver
        self.refused = 0

    def open(self, address: str, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Open a page on a screen of this size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(address)

    def run(self, script: str, *given: object) -> object:
        """What a script in the page returns."""
        return self.driver.execute_script(script, *given)

    def texts(self, selector: str) -> list[str]:
        """The text of each visible element."""
        script = "return [...document.querySelectorAll(arguments[0])].filter(e => e.offsetParent).map(e => e.innerText)"
        return [str(text).strip() for text in self.run(script, selector)]

    def click(self, selector: str) -> None:
        """Press what the selector finds first."""
        self.driver.find_element("css selector", selector).click()

    def type(self, selector: str, text: str) -> None:
        """Type into a field, as keys do."""
        self.driver.find_element("css selector", selector).send_keys(text)

    def choose(self, selector: str, value: str) -> None:
        """Choose from a list, as a reader does."""
        from selenium.webdriver.support.select import Select

        Select(self.driver.find_element("css selector", selector)).select_by_visible_text(value)

    def console(self) -> list[str]:
        """What the page said on its console since the last look: errors, refusals of the policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def asked_for(self) -> list[str]:
        """Every address asked for since the last look; what the policy refused did not leave (``refused``)."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        named = [(event["method"], event["params"]) for event in events]
        blocked = {
            params["requestId"] for method, params in named
            if method == "Network.loadingFailed" and params.get("blockedReason") == "csp"
        }  # fmt: skip
        self.refused = len(blocked)
        return [
            params["request"]["url"] for method, params in named
            if method == "Network.requestWillBeSent" and params["requestId"] not in blocked
        ]  # fmt: skip
