"""What the person sees. Nothing is on a screen here: what would be is reported to
hostcheck, and the person is hostcheck."""

import re
import threading
import time
import urllib.parse

import hostcheck
from form import Form

PAUSE = 0.15  # seconds between two dialogs, so that no server floods the person
TRIES = 5  # how often a form that is not complete can be sent


class Screen:
    """Shows prompts. It may be used by many threads."""

    def __init__(self, server):
        self._server = server
        self._room = threading.Semaphore(3)  # dialogs that are open at once
        self._pace = threading.Lock()
        self._lock = threading.Lock()
        self._open = 0

    def asking(self):
        """Whether a prompt is open, or waits for room to be."""
        with self._lock:
            return self._open > 0

    def ask(self, prompt, withdrawn):
        """Shows the parameters of an elicitation, and returns its result when the
        person has acted. The event is set when the server withdraws the prompt; the
        result is then None."""
        url = prompt.get("url") if prompt.get("mode") == "url" else None
        if url is not None and urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            return {"action": "cancel"}  # what no browser is ever to open is not shown
        with self._lock:
            self._open += 1
        try:
            with self._room:
                with self._pace:
                    time.sleep(PAUSE)
                if withdrawn.is_set():
                    return None
                return self._dialog(prompt, url, withdrawn)
        finally:
            with self._lock:
                self._open -= 1

    def _dialog(self, prompt, url, withdrawn):
        what = {
            "mode": "form",
            "server": self._server,
            "message": prompt.get("message", ""),
            "actions": ["accept", "decline", "cancel"],
            "controls": ["retry", "cancel"],
            "copyable": re.findall(r"\b[A-Z]{3}-\d{3}-\d{3}\b", prompt.get("message", "")),
        }
        if url is not None:
            domain = urllib.parse.urlsplit(url).hostname or ""
            what.update(mode="url", url=url, domain=domain, highlight=domain)
            if "xn--" in domain:
                what["warning"] = "The name of this site may imitate another."
        form = Form(prompt.get("requestedSchema", {})) if url is None else None
        if form is not None:
            what["fields"] = form.values
        dialog = hostcheck.shown(**what)
        for _ in range(TRIES):
            action, entries = hostcheck.press(dialog)
            if action == "nothing":
                withdrawn.wait()
                return None
            if action != "accept":
                return {"action": action}
            if url is not None:
                hostcheck.opened(url)  # a host hands it to the browser here, and to no shell
                return {"action": "accept"}
            form.values.update(entries)
            if form.complete():
                return {"action": "accept", "content": form.values}
        return {"action": "cancel"}
