"""The stdio transport: the server is a process, and a message is a line."""

import json
import subprocess
import threading


class Stdio:
    """Carries messages to a server that it starts. What comes back goes to receive;
    when nothing more can come, lost is called."""

    def __init__(self, command, receive, lost):
        self._receive, self._lost = receive, lost
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._write = threading.Lock()
        self.dead = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                continue  # what a server should not write there
            self._receive(message)
        self.dead = True
        self._lost(ConnectionError("the server ended"))

    def send(self, message):
        """Sends any message."""
        raw = json.dumps(message, ensure_ascii=False).encode() + b"\n"
        with self._write:
            try:
                self._process.stdin.write(raw)
                self._process.stdin.flush()
            except OSError:
                pass  # the reader finds out, and says so

    def give_up(self, request, modern):
        """Says that nobody waits for a request any more."""
        self.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request, "reason": "it took too long"}})

    def older(self):
        """The server speaks the older protocol, which makes no difference here."""

    def close(self):
        """Ends the server: by closing its input, and by force if that does not do."""
        with self._write:
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join(30)
