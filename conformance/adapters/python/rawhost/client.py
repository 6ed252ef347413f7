"""A client of one server: requests and their answers, in either protocol."""

import itertools
import queue
import threading
import time

from headers import marks

MODERN, LEGACY = "2026-07-28", "2025-11-25"
INFO = {"name": "rawhost", "title": "A host without an SDK", "version": "1.0.0"}
CAPABILITIES = {"elicitation": {"form": {}, "url": {}}}
OLDER = (LEGACY, "2025-06-18", "2025-03-26")  # which this host can speak, too: what it does is in all of them
LIMIT = 120  # seconds that a request may take where the task does not say
SILENCE = 20  # seconds after which a server that does not answer is one of the older protocol, and not still starting
MODES = (None, "form", "url")


class TimedOut(Exception):
    """A request was given up."""


class Client:
    """Speaks to one server over a link: make_link(receive, lost) makes it."""

    def __init__(self, make_link, screen):
        self._screen = screen
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._waiting = {}  # queues, by the id of the request
        self._asked = {}  # by the id of the server's request: set when it is withdrawn
        self._complete = {}  # by the id of an elicitation: set when it is complete
        self.modern = True
        self.tools = set()
        self.link = make_link(self._receive, self._lost)

    def connect(self):
        """Finds out which protocol the server speaks, and opens it."""
        version = self._discover()
        if version is None:
            self.modern = False
            self.link.older()
            answer = self.request("initialize", {"protocolVersion": LEGACY, "capabilities": CAPABILITIES, "clientInfo": INFO})
            if "error" in answer:
                raise ConnectionError(f"initialize: {answer['error']['message']}")
            if answer["result"].get("protocolVersion") not in OLDER:
                raise ConnectionError("the server speaks a version that this host does not know")
            self.link.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
            if hasattr(self.link, "listen"):
                self.link.listen()
        self.list_tools()

    def list_tools(self):
        """Asks for the tools. Over HTTP those of the newer protocol that are marked in a
        way that they must not be are left out."""
        tools = self.request("tools/list", {}).get("result", {}).get("tools", [])
        if self.modern and hasattr(self.link, "marks"):
            self.link.marks = {tool["name"]: marks(tool) for tool in tools if marks(tool) is not None}
            tools = [tool for tool in tools if tool["name"] in self.link.marks]
        self.tools = {tool["name"] for tool in tools}

    def _discover(self):
        """The version of the newer protocol that the server speaks; None if it is of the
        older one. Any error says that, but those of the newer one."""
        for attempt in range(2):
            try:
                answer = self.request("server/discover", {}, limit=SILENCE)
            except (ConnectionError, TimedOut):
                if attempt > 0:
                    raise  # it has said that it is of the newer protocol
                return None
            if "result" in answer:
                versions = answer["result"].get("supportedVersions", [])
            elif answer["error"].get("code") in (-32020, -32021, -32022):
                versions = (answer["error"].get("data") or {}).get("supported", [])
            else:
                return None
            if MODERN not in versions:
                raise ConnectionError("the server speaks none of the versions that this host does")
            if "result" in answer:
                return MODERN
        raise ConnectionError("the server refuses the version that it names itself")

    def request(self, method, params, limit=None, most=None):
        """Makes a request and waits for its answer, for limit seconds; progress starts
        the clock again, for most seconds in all, and while a prompt is open it stands
        still. A request of the newer protocol whose stream broke is made once more."""
        for attempt in range(2):
            try:
                return self._try(method, params, limit or LIMIT, most or 4 * (limit or LIMIT))
            except ConnectionError:
                if attempt > 0 or not self.modern or self.link.dead or method == "server/discover":
                    raise

    def _try(self, method, params, limit, most):
        number, answers = next(self._ids), queue.Queue()
        meta = {}
        if self.modern:
            meta = {
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientInfo": INFO,
                "io.modelcontextprotocol/clientCapabilities": CAPABILITIES,
            }
        if method in ("tools/call", "prompts/get", "resources/read"):
            meta["progressToken"] = number
        with self._lock:
            self._waiting[number] = answers
        try:
            self.link.send({"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "_meta": meta} if meta else params})
            return self._wait(answers, limit, most)
        except TimedOut:
            with self._lock:
                del self._waiting[number]  # what comes late is for nobody
            self.link.give_up(number, self.modern)
            raise
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def _wait(self, answers, limit, most):
        left, total, step = limit, most, 0.02
        while left > 0 and total > 0:
            before = time.monotonic()
            try:
                what = answers.get(timeout=step)
            except queue.Empty:
                what = None
            if not self._screen.asking():
                took = time.monotonic() - before
                left, total = left - took, total - took
            if what == "progress":
                left = limit
            elif isinstance(what, Exception):
                raise what
            elif what is not None:
                return what
        raise TimedOut("the call took too long")

    def complete(self, elicitation):
        """The event that is set when an elicitation is complete."""
        with self._lock:
            return self._complete.setdefault(elicitation, threading.Event())

    def _lost(self, error, number=None):
        """Nothing more can come: for one request, or for all."""
        with self._lock:
            waiting = list(self._waiting.values()) if number is None else [q for n, q in self._waiting.items() if n == number]
        for answers in waiting:
            answers.put(error)

    def _receive(self, message):
        """Takes a message of the server."""
        method, params = message.get("method"), message.get("params") or {}
        if method is None:
            with self._lock:
                answers = self._waiting.get(message.get("id"))
            if answers is not None:
                answers.put(message)
        elif "id" in message:
            if not self.modern:  # the newer protocol has no requests of servers, and no answers to them
                threading.Thread(target=self._serve, args=(message, method, params), daemon=True).start()
        elif method == "notifications/progress":
            with self._lock:
                answers = self._waiting.get(params.get("progressToken"))
            if answers is not None:
                answers.put("progress")
        elif method == "notifications/cancelled":
            with self._lock:
                withdrawn = self._asked.get(params.get("requestId"))
            if withdrawn is not None:
                withdrawn.set()
        elif method == "notifications/elicitation/complete":
            with self._lock:
                known = self._complete.get(params.get("elicitationId"))
            if known is not None:  # others mean nothing
                known.set()

    def _serve(self, message, method, params):
        """Answers a request of the server."""
        answer = {"jsonrpc": "2.0", "id": message["id"]}
        if method == "ping":
            answer["result"] = {}
        elif method != "elicitation/create":
            answer["error"] = {"code": -32601, "message": "Method not found"}
        elif params.get("mode") not in MODES:
            answer["error"] = {"code": -32602, "message": "this mode was not declared"}
        else:
            withdrawn = threading.Event()
            with self._lock:
                self._asked[message["id"]] = withdrawn
            answer["result"] = self._screen.ask(params, withdrawn)
            if answer["result"] is None:
                return  # a request that was cancelled gets no answer
        try:
            self.link.send(answer)
        except OSError:
            pass  # the server is gone
