"""A headless Chromium, driven through its DevTools protocol over a pair of pipes.

Chromium and Python's library are all this needs: no driver, no port and no package.
"""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import math
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # the tests may run as root, and the pages are our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--remote-debugging-pipe",
)
_KEY_CODES = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Escape": 27}


def chromium() -> str | None:
    """The executable, or None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One page.  What goes wrong in it (an exception, a line of console.error, a request that is
    not of the page's own file) is kept in `faults`."""

    def __init__(self, folder: Path, size: tuple[int, int] = (1280, 900)) -> None:
        executable = chromium()
        assert executable is not None
        ours, self._out = os.pipe()
        self._in, theirs = os.pipe()
        # Chromium reads from 3 and writes to 4, so the ends that it gets are neither before.
        reads, writes = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (ours, theirs))
        command = [
            executable, *_FLAGS, f"--window-size={size[0]},{size[1]}",
            f"--user-data-dir={folder / 'profile'}", "about:blank",
        ]  # fmt: skip
        nothing = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_RDWR, 0) for n in (0, 1, 2)]
        pipes = [(os.POSIX_SPAWN_DUP2, reads, 3), (os.POSIX_SPAWN_DUP2, writes, 4)]
        self._process = os.posix_spawn(
            executable, command, os.environ, file_actions=[*nothing, *pipes]
        )
        for end in (ours, theirs, reads, writes):
            os.close(end)
        self._ids = itertools.count(1)
        self._buffer = b""
        self._session: str | None = None
        self.faults: list[str] = []
        self.requests: list[str] = []
        targets = self._send("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        attached = self._send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self._send(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.kill(self._process, signal.SIGTERM)
        end = time.monotonic() + 10.0
        while os.waitpid(self._process, os.WNOHANG) == (0, 0):
            if time.monotonic() > end:
                os.kill(self._process, signal.SIGKILL)
                end = math.inf
            time.sleep(0.02)
        os.close(self._in)
        os.close(self._out)

    def open(self, address: str) -> None:
        self._send("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script: str) -> Any:
        """The value of an expression, awaited if it is a promise."""
        answer = self._send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = 60.0) -> None:
        """Until the expression is true, in this page or in one that takes its place."""
        end = time.monotonic() + seconds
        while not self._is_true(condition):
            if time.monotonic() > end:
                raise TimeoutError(f"{condition}: not true after {seconds:g} s; {self.faults}")
            time.sleep(0.02)

    def _is_true(self, condition: str) -> bool:
        try:
            return bool(self.run(f"Boolean({condition})"))
        except RuntimeError as error:
            if any(word in str(error) for word in ("navigated", "context")):
                return False
            raise

    def wait_for_layout(self) -> None:
        """Until what the page says of its sizes is what it shows."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def press(self, key: str, modifiers: int = 0) -> None:
        """A key as the keyboard sends it; `modifiers`: 8 is the shift key."""
        extra: dict[str, Any] = {"text": key} if len(key) == 1 else {}
        if key in _KEY_CODES:
            extra["windowsVirtualKeyCode"] = _KEY_CODES[key]
        for kind in ("keyDown", "keyUp"):
            self._send(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, modifiers=modifiers, **extra
            )
            extra.pop("text", None)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self._send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def resize(self, width: int, height: int) -> None:
        """The window, or a telephone's where it is narrow."""
        self._send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._send("Page.captureScreenshot")["data"]))

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
            self._notice(answer)

    def _notice(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                self.faults.append(str(details.get("exception", {}).get("description", details)))
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning"):
                self.faults.append(str([a.get("value") for a in parameters["args"]]))
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"][:200])
            case _:
                pass

    def _receive(self, seconds: float = 120.0) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while b"\0" not in self._buffer:
            if not select.select([self._in], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError(f"Chromium says nothing for {seconds:g} s")
            part = os.read(self._in, 1 << 20)
            if not part:
                raise RuntimeError("Chromium has ended")
            self._buffer += part
        message, self._buffer = self._buffer.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(message)
        return answer


@contextmanager
def opened(path: Path, folder: Path, size: tuple[int, int] = (1280, 900)) -> Iterator[Page]:
    """A page of a local file."""
    with Page(folder, size) as page:
        page.open(path.resolve().as_uri())
        yield page
