"""Open pages in headless Chromium and say what is wrong with them.

Chromium is driven by its own DevTools protocol over a pipe: no driver, no port, no further package. Pages are served
from this machine under the path of the published site; every other host is out of reach, and asking for one is a fault.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
AXE = ROOT / "tests" / "vendor" / "axe-core" / "axe.min.js"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ON_CI = os.environ.get("GANCOURSE_TESTS_ON_CI", "").lower() not in ("", "0", "false")
TIMEOUT = 60.0  # seconds; a busy machine with one free core needs some of them
LEFT = ("navigated or closed", "context was destroyed", "Cannot find context", "Promise was collected")

OPTIONS = """--headless --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run
--disable-background-networking --disable-component-update --disable-sync --disable-extensions --disable-default-apps
--disable-features=Translate,OptimizationHints,MediaRouter --hide-scrollbars --mute-audio --no-proxy-server
--force-color-profile=srgb --remote-debugging-pipe""".split()

# What axe says of the machinery around the course's own text: the rule, the elements it is allowed for, and why.
ALLOWED: dict[str, tuple[str, str]] = {
    "label-content-name-mismatch": (
        ".search-button-field, .theme-switch-button, details.hide > summary",
        "The theme names its buttons Search and Color mode, MyST-NB its folded cells Toggle hidden content, "
        "whatever words stand in them. The names are understandable.",
    ),
    "summary-name": (".bd-sidebar-primary summary", "The theme's arrow beside a page's name opens the pages below it."),
    "definition-list": ("dt.sig > dl", "Sphinx writes the parameters of a long signature, one a line, as a bare list."),
    "aria-required-children": (".citation-list", "Docutils calls the references a list, and each of them an entry."),
    "aria-input-field-name": (".jupyter-widgets [role=slider]", "Jupyter's widgets name the box around a slider only."),
}

# The only rules of axe whose verdict can change between a light and a dark page.
COLOUR_RULES = ["color-contrast", "link-in-text-block"]


def absent(reason: str) -> NoReturn:
    """Skip a test that cannot run here; on a build server, where nothing may be missing, fail it."""
    if ON_CI:
        pytest.fail(f"{reason}; with CI=true every browser test must run", pytrace=False)
    pytest.skip(reason)


def shared_build(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Build the site once for all test processes; return its folder and what the build said."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    out, result = base / "site", base / "site.json"
    with FileLock(base / "site.lock"):
        if not result.exists():
            command = [sys.executable, str(ROOT / "book" / "tools" / "build.py"), "--out", str(out)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=600)
            result.write_text(json.dumps([command, done.returncode, done.stdout, done.stderr]), encoding="utf-8")
    return out / "_build" / "html", subprocess.CompletedProcess(*json.loads(result.read_text(encoding="utf-8")))


class _Handler(SimpleHTTPRequestHandler):
    """Serve a folder below the path `prefix`, quietly, and let the browser keep what it got."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, prefix: str, **options: Any):
        self.prefix = prefix
        super().__init__(*args, **options)

    def translate_path(self, path: str) -> str:
        inside = path.startswith(self.prefix)
        return super().translate_path("/" + path.removeprefix(self.prefix) if inside else "/outside the site")

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "max-age=3600")
        super().end_headers()

    def log_message(self, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: Any) -> None:
        """Say nothing of a tab that was closed before it had read its answer."""


@contextlib.contextmanager
def serve(folder: Path, prefix: str = "/") -> Iterator[str]:
    """Serve `folder` on this machine and yield the address of its top."""
    handler = functools.partial(_Handler, directory=str(folder), prefix=prefix)
    with _Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}{prefix}"
        server.shutdown()


# The protocol wants its pipes at the file descriptors 3 and 4.
LAUNCH = "import os, sys; _, a, b, *run = sys.argv; os.dup2(int(a), 3); os.dup2(int(b), 4); os.execv(run[0], run)"


def _high(descriptor: int) -> int:
    """Move a file descriptor out of the way of 3 and 4."""
    import fcntl  # not on Windows, where these tests skip

    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved


class Left(RuntimeError):
    """The page that was asked has gone, because the tab went on to another."""


class Browser:
    """One headless Chromium that reaches no host but this machine.

    Raises:
        RuntimeError: Chromium does not start.
        TimeoutError: it does not answer.
    """

    def __init__(self, program: str, profile: Path):
        self.tabs: dict[str, Tab] = {}
        self._answers: dict[int, dict[str, Any]] = {}
        self._count, self._rest = 0, b""
        there, self._write = map(_high, os.pipe())
        self._read, back = map(_high, os.pipe())
        self._log = profile.with_suffix(".log")
        rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        command = [sys.executable, "-c", LAUNCH, str(there), str(back)]
        command += [program, *OPTIONS, rules, f"--user-data-dir={profile}", "about:blank"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, pass_fds=(there, back), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        os.close(there)
        os.close(back)
        try:
            self.call("Browser.getVersion")
        except (RuntimeError, TimeoutError, OSError) as error:
            self.close()
            told = self._log.read_text(encoding="utf-8", errors="replace").strip()[-500:]
            raise RuntimeError(f"{error} {told}") from error

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Send one command and return its answer."""
        self._count += 1
        number = self._count
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        data = memoryview(json.dumps(message).encode() + b"\0")
        while data:
            data = data[os.write(self._write, data) :]
        deadline = time.monotonic() + TIMEOUT
        while number not in self._answers:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Chromium has not answered {method} for {TIMEOUT:.0f} s.")
            self.listen(1.0)
        answer = self._answers.pop(number)
        if "error" in answer:
            told = answer["error"]["message"]
            kind = Left if any(words in told for words in LEFT) else RuntimeError
            raise kind(f"Chromium refused {method}: {told}.")
        return answer["result"]

    def listen(self, seconds: float) -> None:
        """Wait at most `seconds` for what Chromium says, and hand it on."""
        if not select.select([self._read], [], [], seconds)[0]:
            return
        data = os.read(self._read, 1 << 20)
        if not data:
            raise RuntimeError("Chromium has ended.")
        *complete, self._rest = (self._rest + data).split(b"\0")
        for message in map(json.loads, complete):
            if "id" in message:
                self._answers[message["id"]] = message
            elif tab := self.tabs.get(message.get("sessionId", "")):
                tab.hear(message["method"], message["params"])

    @contextlib.contextmanager
    def tab(self, width: int = 1280, mode: str = "light") -> Iterator[Tab]:
        """Yield a new tab of a given width in CSS pixels; it is closed afterwards."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = self.tabs[session] = Tab(self, session, width)
        try:
            tab.prepare()
            tab.set_mode(mode)
            yield tab
        finally:
            del self.tabs[session]
            self.call("Target.closeTarget", targetId=target)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._write)  # Chromium ends when its pipe does
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)


class Tab:
    """One tab: what it asked for, what went wrong, and questions to its page."""

    def __init__(self, browser: Browser, session: str, width: int):
        self.browser, self.session, self.width = browser, session, width
        self.faults: list[str] = []
        self.loaded = False
        self._running: dict[str, str] = {}
        self._own = ""

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self.browser.call(method, self.session, **params)

    def prepare(self) -> None:
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Network.enable", maxTotalBufferSize=0)
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        size = {"width": self.width, "height": 900, "deviceScaleFactor": 1}
        self.call("Emulation.setDeviceMetricsOverride", **size, mobile=False)

    def set_mode(self, mode: str) -> None:
        """Ask for a light or a dark page, as the reader's system does."""
        wishes = {"prefers-color-scheme": mode, "prefers-reduced-motion": "reduce"}
        self.call("Emulation.setEmulatedMedia", features=[{"name": n, "value": v} for n, v in wishes.items()])

    def is_in(self, mode: str) -> bool:
        """Return whether the theme shows this mode; a page without the theme has no say in it."""
        return self.evaluate(THEME) in (None, mode)

    def hear(self, event: str, params: dict[str, Any]) -> None:
        """Take note of what Chromium tells about this tab."""
        if event == "Page.loadEventFired":
            self.loaded = True
        elif event == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if urlsplit(url).scheme in ("http", "https", "ws", "wss"):
                self._running[params["requestId"]] = url
                if urlsplit(url).netloc != self._own:
                    self.faults.append(f"asks another host for {url}")
        elif event == "Network.webSocketCreated":
            self.faults.append(f"asks another host for {params['url']}")
        elif event == "Network.responseReceived" and params["response"]["status"] >= 400:
            self.faults.append(f"gets {params['response']['status']:.0f} for {params['response']['url']}")
        elif event == "Network.loadingFinished":
            self._running.pop(params["requestId"], None)
        elif event == "Network.loadingFailed":
            url = self._running.pop(params["requestId"], None)
            if url and urlsplit(url).netloc == self._own and not params.get("canceled"):
                self.faults.append(f"cannot load {url}: {params['errorText']}")
        elif event == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            told = details.get("exception", {}).get("description") or details["text"]
            self.faults.append(f"error in a script: {told} ({details.get('url', '')}:{details['lineNumber'] + 1})")
        elif event == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            told = " ".join(str(arg.get("value", arg.get("description", ""))) for arg in params["args"])
            self.faults.append(f"error in the console: {told}")
        elif event == "Log.entryAdded":
            entry = params["entry"]
            if entry["level"] == "error" and entry["source"] != "network":  # those were told above
                self.faults.append(f"error in the console: {entry['text']} ({entry.get('url', '')})")

    def wait(self, condition: Callable[[], object], seconds: float = TIMEOUT) -> bool:
        """Listen until the condition holds; return whether it did in time.

        A page that goes while it is asked has not answered: the next one is asked again.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(Left):
                if condition():
                    return True
            self.browser.listen(0.05)
        return False

    def evaluate(self, script: str) -> Any:
        """Run a script's expression in the page, wait for its promise, and return its value."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def open(self, address: str) -> bool:
        """Load a page and wait until its pictures, fonts, formulas and requests are done; return whether it loaded."""
        self._own = urlsplit(address).netloc
        self.loaded = False
        self._running.clear()  # what the page before still asked for ends with it, untold
        if error := self.call("Page.navigate", url=address).get("errorText"):
            self.faults.append(f"the page does not load: {error}")
            return False
        if not self.wait(lambda: self.loaded):
            self.faults.append(f"has not loaded after {TIMEOUT:.0f} s")
            return False
        self.evaluate(SETTLE)
        if not self.wait(lambda: not self._running):
            self.faults.append(f"still loads {', '.join(self._running.values())}")
        return True

    def click(self, selector: str) -> None:
        """Click with the mouse on the middle of an element."""
        where = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{where}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        box = self.evaluate(f"{where}.getBoundingClientRect().toJSON()")
        spot = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **spot)

    def look(self) -> list[str]:
        """Return what a reader would stumble over on the page as it is shown now."""
        return self.evaluate(f"({LOOK})({self.width})")

    def axe(self) -> list[str]:
        """Return the serious and critical faults that axe-core finds, except the allowed ones.

        Asked again on the same page, it looks at colours only.
        """
        rules = COLOUR_RULES
        if not self.evaluate("'axe' in window"):
            self.evaluate(EMPTY_FORMULAS)
            self.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
            rules = []
        allowed = {rule: selector for rule, (selector, _) in ALLOWED.items()}
        return self.evaluate(f"({RUN_AXE})({json.dumps(allowed)}, {json.dumps(rules)})")


# Everything that hides is opened, everything that comes late is called, nothing moves.
SETTLE = r"""(async () => {
  const still = document.createElement("style");
  still.textContent = "*, *::before, *::after { transition: none !important; animation: none !important; }";
  document.head.append(still);
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const hidden of document.querySelectorAll(".toggle-hidden")) hidden.classList.remove("toggle-hidden");
  for (const image of document.images) image.loading = "eager";
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  await Promise.all([...document.images].map((image) => image.decode().catch(() => null)));
})()"""

LOOK = r"""(width) => {
  const faults = [], root = document.documentElement;
  const name = (node) => node.id ? "#" + node.id : node.tagName.toLowerCase() +
    [...node.classList].slice(0, 2).map((part) => "." + part).join("");
  const short = (text) => text.replace(/\s+/g, " ").trim().slice(0, 80);

  for (const math of document.querySelectorAll(".math")) {
    if (!math.querySelector("mjx-container")) faults.push(`formula not rendered: ${short(math.textContent)}`);
  }
  for (const bad of document.querySelectorAll("mjx-merror, [data-mjx-error]")) {
    faults.push(`formula with an error: ${bad.dataset.mjxError || short(bad.textContent)}`);
  }
  const quiet = "pre, code, kbd, samp, script, style, noscript, textarea, mjx-container";
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent, parent = walker.currentNode.parentElement;
    const raw = text.match(/\$\$|\\(tag|begin|end|frac|label|mathbb|operatorname)\b|Math (input|processing) error/i);
    if (!raw || parent.closest(quiet) || !parent.checkVisibility()) continue;
    faults.push(`raw formula in the text: ${short(text)}`);
  }

  for (const image of document.images) {
    const source = short(image.getAttribute("src") || "");
    if (!image.naturalWidth) faults.push(`image not loaded: ${source}`);
    if (!image.hasAttribute("alt")) faults.push(`image without alt text: ${source}`);
    else if (!image.alt.trim() && image.closest("article")) faults.push(`image with empty alt text: ${source}`);
    const {filter} = getComputedStyle(image);
    if (filter !== "none" && image.closest("article")) faults.push(`image shown through ${filter}: ${source}`);
  }

  if (root.scrollWidth > width) {
    const clipped = (node) => {
      for (let up = node.parentElement; up && up !== document.body; up = up.parentElement) {
        if (getComputedStyle(up).overflowX !== "visible") return true;
      }
      return false;
    };
    const wide = [...document.body.querySelectorAll("*")]
      .filter((node) => node.getBoundingClientRect().right > width + 0.5 && !clipped(node));
    faults.push(`page scrolls sideways, ${root.scrollWidth} px wide: ${wide.slice(-3).map(name).join(", ")}`);
  }

  for (const number of document.querySelectorAll(".math .eqno")) {
    const {left, right} = number.getBoundingClientRect(), box = number.parentElement.getBoundingClientRect();
    if (left < box.left - 0.5 || right > Math.min(box.right, width) + 0.5) {
      faults.push(`number of an equation out of sight: ${short(number.textContent)}`);
    }
  }
  const boxes = "article pre, article mjx-container[display], article span.math, article .cell_output, " +
    "article .cell_output .output, article .pst-scrollable-table-container";
  for (const box of document.querySelectorAll(boxes)) {
    const hidden = box.scrollWidth - box.clientWidth;
    if (hidden <= 3 || !box.clientWidth) continue; // a hat may be wider than its letter
    const formula = box.closest(".math"), told = short(formula?.id || box.textContent);
    if (!box.matches(".scrolls-on")) faults.push(`wider than its box, and nothing says so: ${name(box)}, ${told}`);
    if (width < 1280) continue;
    if (formula) faults.push(`formula that does not fit, by ${hidden} px: ${told}`);
    const columns = Math.max(...box.textContent.split("\n").map((line) => line.trimEnd().length));
    if (box.localName === "pre" && columns <= 84) faults.push(`${columns} columns of code do not fit: ${told}`);
  }

  for (const book of document.querySelectorAll(".gc-book")) {
    const frames = [...book.querySelectorAll("figure")], last = frames.length - 1;
    const shown = frames.flatMap((frame, k) => frame.checkVisibility({visibilityProperty: true}) ? [k] : []);
    if (shown.join() !== String(last)) faults.push(`flip-book shows frames ${shown} instead of ${last}`);
    if (book.querySelector("input").value !== String(last)) faults.push("flip-book's slider is not at the last frame");
  }
  return faults;
}"""

# Axe would weigh each of the thousands of boxes in MathJax's formulas. A formula's room is enough, in half the time.
EMPTY_FORMULAS = r"""
for (const [formula, {width, height}] of [...document.querySelectorAll("mjx-container")]
    .map((formula) => [formula, formula.getBoundingClientRect()])) {
  formula.replaceChildren();
  Object.assign(formula.style, {display: "inline-block", minWidth: 0, width: `${width}px`, height: `${height}px`});
}"""

RUN_AXE = r"""async (allowed, rules) => {
  const options = {resultTypes: ["violations"], elementRef: true};
  if (rules.length) options.runOnly = {type: "rule", values: rules};
  const {violations} = await axe.run({exclude: ["mjx-container"]}, options);
  const told = ({id, impact, help}) => ({target, any}) => {
    const {fgColor, bgColor, contrastRatio} = any[0]?.data ?? {};
    const colours = fgColor ? `, ${fgColor} on ${bgColor}: ${contrastRatio}` : "";
    return `axe ${id} (${impact}): ${help}: ${target.flat().join(" ")}${colours}`;
  };
  return violations.filter(({impact}) => impact === "serious" || impact === "critical").flatMap((fault) =>
    fault.nodes.filter(({element}) => !(fault.id in allowed && element?.matches(allowed[fault.id])))
      .slice(0, 10).map(told(fault)));
}"""

THEME = "document.documentElement.dataset.theme ?? null"

FRAME = """[...document.querySelectorAll(".gc-book")].map((book) =>
  [...book.querySelectorAll("figure")].findIndex((frame) => frame.classList.contains("gc-on")))"""


def play_flip_books(tab: Tab) -> list[str]:
    """Play every flip-book of the page; return what does not work."""
    faults = []

    def plays(k: int) -> bool:
        return tab.evaluate(FRAME)[k] > 0

    for k, key in enumerate(tab.evaluate("[...document.querySelectorAll('.gc-book')].map((b) => b.dataset.gcBook)")):
        button = f'.gc-book[data-gc-book="{key}"] button'
        label = f"document.querySelector({json.dumps(button)}).textContent"
        tab.click(button)
        if (words := tab.evaluate(label)) != "Pause":
            faults.append(f"flip-book {k + 1}: after a click on Play the button reads {words!r}, not 'Pause'")
        elif tab.evaluate(FRAME)[k] != 0:
            faults.append(f"flip-book {k + 1}: Play does not begin at the first frame")
        elif not tab.wait(functools.partial(plays, k)):
            faults.append(f"flip-book {k + 1}: Play stays at the first frame")
        else:
            tab.click(button)
    return faults


def examine(browser: Browser, address: str) -> dict[str, list[str]]:
    """Load a page at both widths and see it in both modes; return each fault with where it appears."""
    found: dict[str, list[str]] = {}
    for width, modes in ((1280, ("light", "dark")), (390, ("dark", "light"))):
        with browser.tab(width, modes[0]) as tab:
            loaded = tab.open(address)
            for mode in modes:
                seen: list[str] = []
                if loaded:
                    tab.set_mode(mode)
                    if not tab.wait(functools.partial(tab.is_in, mode)):
                        seen.append(f"the page's mode is {tab.evaluate(THEME)}")
                    seen += tab.look() + tab.axe()
                if loaded and width == 1280 and mode == modes[-1]:
                    seen += play_flip_books(tab)
                for fault in dict.fromkeys(tab.faults + seen):
                    found.setdefault(fault, []).append(f"{width} px {mode}")
                tab.faults.clear()
    return found


def report(page: str, found: dict[str, list[str]]) -> str:
    """Return one line for each fault: page, widths and modes, what is wrong."""
    return "\n".join(f"{page}, {', '.join(where)}: {fault}" for fault, where in found.items())
