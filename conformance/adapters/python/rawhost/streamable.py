"""The streamable HTTP transport: each message is a POST of its own."""

import http.client
import json
import socket
import threading
import time
import urllib.parse

from headers import encoded, mirrored

MODERN, LEGACY = "2026-07-28", "2025-11-25"
ANSWERING = 10  # seconds that the server may take to open the stream that belongs to no request


class SessionLost(ConnectionError):
    """The server does not know the session any more."""


class Streamable:
    """Carries messages to an HTTP server. What comes back goes to receive; when nothing
    more can come for a request, lost is called with the error and the request's id."""

    dead = False

    def __init__(self, url, receive, lost):
        parts = urllib.parse.urlsplit(url)
        self._address, self._path = parts.netloc, parts.path
        self._receive, self._lost = receive, lost
        self._modern, self._session, self._version = True, None, None
        self._lock = threading.Lock()
        self._open = {}  # connections, by the id of the request
        self.marks = {}  # by tool, the headers of its parameters

    def send(self, message):
        """Sends a message: a request in the background, as its answer may take long."""
        if "method" in message and "id" in message:
            threading.Thread(target=self._request, args=(message,), daemon=True).start()
        else:
            self._post(message).close()

    def give_up(self, request, modern):
        """Says that nobody waits for a request any more: by closing its stream in the
        newer protocol, by a notification in the older one."""
        if not modern:
            self.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request, "reason": "it took too long"}})
            return
        with self._lock:
            connection = self._open.pop(request, None)
        if connection is not None and connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)

    def older(self):
        """The server speaks the older protocol."""
        self._modern = False

    def listen(self):
        """Opens the stream for what belongs to no request, if the server has one: what it
        says there before that is lost."""
        answered = threading.Event()
        threading.Thread(target=self._listen, args=(answered,), daemon=True).start()
        answered.wait(ANSWERING)

    def close(self):
        """Ends the session, if there is one."""
        if self._session is not None:
            connection = http.client.HTTPConnection(self._address, timeout=30)
            try:
                connection.request("DELETE", self._path, headers=self._headers())
                connection.getresponse()
            except OSError:
                pass  # a server that is gone has no session either
            connection.close()

    def _headers(self, message=None):
        headers = {}
        if self._modern and message is not None:
            headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": message.get("method", "")}
            if message.get("method") in ("tools/call", "prompts/get", "resources/read"):
                headers["Mcp-Name"] = encoded(message["params"].get("name") or message["params"]["uri"])
            if message.get("method") == "tools/call":
                marks = self.marks.get(message["params"]["name"], {})
                headers.update(mirrored(marks, message["params"]["arguments"]))
        elif self._session is not None:
            headers = {"Mcp-Session-Id": self._session, "MCP-Protocol-Version": self._version}
        return headers

    def _post(self, message):
        connection = http.client.HTTPConnection(self._address)
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **self._headers(message)}
        with self._lock:
            if "method" in message and "id" in message:
                self._open[message["id"]] = connection
        connection.request("POST", self._path, json.dumps(message, ensure_ascii=False).encode(), headers)
        response = connection.getresponse()
        if message.get("method") == "initialize":
            self._session = response.getheader("Mcp-Session-Id")
        return response

    def _request(self, message):
        """Makes a request, and hands on what comes of it."""
        number = message["id"]
        try:
            response = self._post(message)
            if response.status == 404 and self._session is not None and message["method"] != "initialize":
                raise SessionLost("the server does not know the session any more")
            if (response.getheader("Content-Type") or "").startswith("text/event-stream"):
                self._follow(response, number)
                return
            body = response.read()
            try:
                answer = json.loads(body)
            except ValueError:
                raise ConnectionError(f"the server answers with status {response.status}") from None
            self._take({**answer, "id": number})  # errors of HTTP may come without one
        except (OSError, http.client.HTTPException, AttributeError) as error:
            self._lost(error if isinstance(error, OSError) else ConnectionError(str(error)), number)
        finally:
            with self._lock:
                self._open.pop(number, None)

    def _follow(self, response, number):
        """Reads the stream of a request. In the older protocol it comes back to one that
        the server closed early."""
        while True:
            last, wait = self._events(response)
            if self._modern or last is None:
                raise ConnectionError("the response stream broke")
            time.sleep(wait)
            response = self._get({"Last-Event-ID": last})
            if response.status != 200:
                raise ConnectionError("the server does not go on with the stream")

    def _events(self, response):
        """Hands on the messages of a stream. Returns the id of the last event that is
        worth coming back to, and the seconds to wait before."""
        last, wait, data = None, 0.0, []
        for line in response:
            name, _, value = line.decode().rstrip("\r\n").partition(":")
            value = value[1:] if value.startswith(" ") else value
            if name == "data":
                data.append(value)
            elif name == "id":
                last = value
            elif name == "retry" and value.isdigit():
                wait = int(value) / 1000
            elif line.strip() == b"":  # the event is complete; a name that is empty is a comment
                text, data = "\n".join(data), []
                if text:
                    self._take(json.loads(text))
        return last, wait

    def _take(self, message):
        """Hands on a message, and keeps the version that initialize comes to."""
        result = message.get("result")
        if self._version is None and isinstance(result, dict) and "protocolVersion" in result:
            self._version = result["protocolVersion"]
        self._receive(message)

    def _get(self, headers):
        connection = http.client.HTTPConnection(self._address)
        connection.request("GET", self._path, headers={"Accept": "text/event-stream", **self._headers(), **headers})
        return connection.getresponse()

    def _listen(self, answered):
        try:
            response = self._get({})
            answered.set()
            if response.status == 200:
                self._events(response)
        except (OSError, http.client.HTTPException, ValueError):
            answered.set()  # a server need not have one
