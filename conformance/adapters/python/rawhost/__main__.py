"""A host without an SDK, for hostcheck: both protocols, both transports.

    hostcheck run -- python3 conformance/adapters/python/rawhost

It shows how a host uses the adapter, hostcheck.py. All that it does is in
docs/hostcheck.md and in the specification. It needs Python 3.9 and no other package.
"""

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))  # where hostcheck.py is

import hostcheck  # noqa: E402
from client import Client, TimedOut  # noqa: E402
from screen import Screen  # noqa: E402
from stdio import Stdio  # noqa: E402
from streamable import SessionLost, Streamable  # noqa: E402

ROUNDS = 12  # how often one call may ask for input


class Host:
    """Does a task."""

    def __init__(self, task):
        self._task = task
        self._screen = Screen(task["server"]["name"])
        self._connecting = threading.Lock()
        self._client = None

    def run(self):
        """Does the steps one after the other, and the calls of each side by side."""
        for step in self._task["steps"]:
            calls = [threading.Thread(target=self._call, args=(call,), daemon=True) for call in step]
            for call in calls:
                call.start()
            for call in calls:
                call.join()
        if self._client is not None:
            self._client.link.close()

    def _connected(self, instead_of=None):
        """The client of the server: a new one if there is none, or if it died."""
        with self._connecting:
            if self._client is None or self._client is instead_of or self._client.link.dead:
                server = self._task["server"]
                if "url" in server:
                    client = Client(lambda receive, lost: Streamable(server["url"], receive, lost), self._screen)
                else:
                    client = Client(lambda receive, lost: Stdio(server["command"], receive, lost), self._screen)
                try:
                    client.connect()
                except (ConnectionError, TimedOut):
                    client.link.close()
                    raise
                self._client = client
            return self._client

    def _call(self, call):
        """Makes a call, and gives what it comes to to the model."""
        try:
            text, error = self._attempt(call)
        except hostcheck.Over:
            return
        except (ConnectionError, TimedOut) as problem:
            text, error = str(problem), True
        hostcheck.outcome(call["id"], text, error)

    def _attempt(self, call):
        client = self._connected()
        try:
            return self._rounds(client, call)
        except SessionLost:
            return self._rounds(self._connected(instead_of=client), call)

    def _rounds(self, client, call):
        """Makes a call until there is a result: its text, and whether that is an error."""
        method, original = asked(call)
        params, retried, refreshed = original, False, False
        if method == "tools/call" and call["tool"] not in client.tools:
            return f"the server has no tool {call['tool']}", True
        limit, most = call.get("timeoutMs", 0) / 1000, call.get("maxMs", 0) / 1000
        for _ in range(ROUNDS):
            answer = client.request(method, params, limit, most)
            if "error" in answer:
                error = answer["error"]
                if error.get("code") == -32020 and client.modern and not refreshed:
                    client.list_tools()  # the marks of the tool may have changed
                    refreshed = True
                    continue
                if error.get("code") != -32042 or client.modern or retried or not self._required(client, error):
                    return error.get("message", ""), True
                retried = True
                continue
            result = answer["result"]
            kind = result.get("resultType", "complete")
            if kind == "complete":
                return text_of(result), result.get("isError", False)
            if kind != "input_required" or not client.modern:
                return f"the server sent a result of the unknown type {kind}", True
            params = dict(original)
            requests = result.get("inputRequests")
            if requests:
                params["inputResponses"] = self._gather(requests)
            if "requestState" in result:
                params["requestState"] = result["requestState"]
        return "the server asks for more than this host takes part in", True

    def _gather(self, requests):
        """Asks the person everything at once, and returns the answers by their keys."""
        answers = {}

        def ask(key, params):
            answers[key] = self._screen.ask(params, threading.Event())

        dialogs = [threading.Thread(target=ask, args=(key, r["params"]), daemon=True) for key, r in requests.items()]
        for dialog in dialogs:
            dialog.start()
        for dialog in dialogs:
            dialog.join()
        return answers

    def _required(self, client, error):
        """Error -32042: shows what it names, and waits until that is complete. Says
        whether to retry."""
        prompts = (error.get("data") or {}).get("elicitations", [])
        complete = [client.complete(p.get("elicitationId")) for p in prompts]
        answers = self._gather({str(i): {"params": p} for i, p in enumerate(prompts)})
        if any(a is None or a["action"] != "accept" for a in answers.values()):
            return False
        return all(done.wait(30) for done in complete)


def asked(call):
    """The method and the parameters of a call: of a tool, a resource or a prompt."""
    if "resource" in call:
        return "resources/read", {"uri": call["resource"]}
    if "prompt" in call:
        return "prompts/get", {"name": call["prompt"], "arguments": call.get("arguments", {})}
    return "tools/call", {"name": call["tool"], "arguments": call["arguments"]}


def text_of(result):
    """The text in a result of any of them."""
    parts = result.get("content", []) + result.get("contents", []) + [m["content"] for m in result.get("messages", [])]
    return "".join(part.get("text", "") for part in parts)


Host(hostcheck.task("shown", "opened", "outcome", "entries", does=["resources", "prompts", "listed", "maximum"])).run()
