// The adapter protocol of hostcheck, for a host in JavaScript: copy this file.
//
// A host that hostcheck has started asks what to do, reports what its person sees, and is
// told what the person does:
//
//   const { server, steps } = await task(['shown', 'opened', 'outcome']); // what will be reported
//   const dialog = await shown({ mode: 'url', server: server.name, url, domain, actions: […] });
//   const { action, entries } = await press(dialog);
//   if (action === 'accept') await opened(url);
//   await outcome(call.id, 'what the model reads');
//
// docs/hostcheck.md says what each of them means. It needs Node.js 18, or another runtime
// with fetch and process.env, and no package.

/**
 * What to do: the server, and the steps. The hooks are what will be reported: shown, opened,
 * outcome, entries. What the host does, beside calling tools by name, is resources and prompts;
 * listed: it calls none that it has not listed; and maximum: it keeps to the maxMs of a call.
 */
export const task = (hooks, does = []) => talk(`task?hooks=${hooks}&does=${does}`);

/**
 * A prompt is on the screen, with what can be seen of it: mode, server, message, url, domain,
 * highlight, warning, actions, controls, links, copyable, fields. Returns the dialog, for press.
 */
export const shown = async (prompt, signal) => (await talk('shown', prompt, signal)).dialog;

/**
 * Waits until the person acts in a dialog. The action is accept, decline, cancel, or nothing,
 * which means that the dialog stays open until the server withdraws the prompt. The entries
 * are what the person has put into the fields of a form before; a form that cannot be sent
 * like that stays open, for another press. It rejects when the scenario ends before, or the
 * signal is aborted.
 */
export const press = (dialog, signal) => talk(`press?dialog=${encodeURIComponent(dialog)}`, undefined, signal);

/**
 * A URL went to something that shows it: browser; isolated, a view that the host cannot look
 * into; or embedded, one that it can.
 */
export const opened = (url, where = 'browser') => talk('opened', { url, in: where });

/** A call of the task, named by its id, has ended, and this is what the model reads. */
export const outcome = (call, text, error = false) => talk('outcome', { call, text, error });

/** Makes a request of the control endpoint: a POST if there is a body. Returns the answer. */
async function talk(path, body, signal) {
  const control = process.env.HOSTCHECK_CONTROL;
  if (!control) throw new Error('HOSTCHECK_CONTROL is not set: this host is started by hostcheck');
  const response = await fetch(`${control}/${path}`, {
    signal,
    ...(body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`hostcheck answers ${response.status}: ${text.trim()}`);
  return text && JSON.parse(text);
}
