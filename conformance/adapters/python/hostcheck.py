"""The adapter protocol of hostcheck, for a host in Python: copy this file.

A host that hostcheck has started asks what to do, reports what its person sees, and
is told what the person does:

    task = hostcheck.task("shown", "opened", "outcome")  # what will be reported
    dialog = hostcheck.shown(mode="url", server=…, url=…, domain=…, actions=[…])
    action, entries = hostcheck.press(dialog)
    if action == "accept":
        hostcheck.opened(url)
    hostcheck.outcome(call["id"], "what the model reads")

docs/hostcheck.md says what each of them means. All of them block: in a coroutine
call them with asyncio.to_thread. It needs Python 3.9 and no other package.
"""

import json
import os
import urllib.error
import urllib.parse
import urllib.request


class Over(Exception):
    """The scenario is over: nobody presses anything any more."""


def task(*hooks, does=()):
    """What to do: the server, and the steps. The hooks are what will be reported:
    "shown", "opened", "outcome", "entries". What the host does, beside calling tools by
    name, is "resources" and "prompts"; "listed": it calls none that it has not listed;
    and "maximum": it keeps to the maxMs of a call."""
    return _talk("task?" + urllib.parse.urlencode({"hooks": ",".join(hooks), "does": ",".join(does)}))


def shown(**prompt):
    """A prompt is on the screen, with what can be seen of it: mode, server, message,
    url, domain, highlight, warning, actions, controls, links, copyable, fields. Returns
    the dialog, for press."""
    return _talk("shown", prompt)["dialog"]


def press(dialog):
    """Waits until the person acts in a dialog. Returns "accept", "decline", "cancel",
    or "nothing": leave the dialog open until the server withdraws the prompt. With it
    comes what the person has entered into the fields of a form before; a form that
    cannot be sent like that stays open, for another press. Raises Over if the scenario
    ends before."""
    press = _talk("press?" + urllib.parse.urlencode({"dialog": dialog}))
    return press["action"], press.get("entries", {})


def opened(url, where="browser"):
    """A URL went to something that shows it: "browser"; "isolated", a view that the
    host cannot look into; or "embedded", one that it can."""
    _talk("opened", {"url": url, "in": where})


def outcome(call, text, error=False):
    """A call of the task, named by its id, has ended, and this is what the model reads."""
    _talk("outcome", {"call": call, "text": text, "error": error})


# The control endpoint is on this machine: whatever proxy the environment names is not for it.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _talk(path, body=None):
    """One request of the control endpoint: a POST if there is a body. Returns the answer."""
    control = os.environ.get("HOSTCHECK_CONTROL")
    if not control:
        raise RuntimeError("HOSTCHECK_CONTROL is not set: this host is started by hostcheck")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{control}/{path}", data, {"Content-Type": "application/json"})
    try:
        with _opener.open(request) as response:
            answer = response.read()
    except urllib.error.HTTPError as error:
        if error.code == 410:
            raise Over("the scenario is over") from None
        raise
    return json.loads(answer) if answer else None
