// The part of a host that an SDK leaves to whoever writes the host: the dialog that a
// prompt is shown in, the browser, and the model that reads results. Here nothing is on a
// screen: what would be is reported to hostcheck, and the person is hostcheck. The Go
// package screen does the same.

import { opened, press, shown } from '../../adapters/javascript/hostcheck.mjs';
import { each, learn, report } from './control.mjs';

/** What to do. */
export const task = await learn(['shown', 'opened'], ['listed', 'maximum']);

/** What the hosts declare: this screen shows both modes of elicitation. */
export const capabilities = { elicitation: { form: {}, url: {} } };

/** How many dialogs can be open at once, and how long a place stays empty between two. */
const dialogs = 3;
const pause = 500;
let open = 0;
const queue = [];

/**
 * Shows a prompt and waits for the person, as long as the signal lasts. The result of the
 * elicitation says what they did; the URL of a prompt that was accepted has been opened.
 * What a browser is never to open is cancelled unseen.
 */
export async function ask({ mode, message, url }, signal) {
  const prompt = { mode: 'form', server: task.server.name, message, actions: ['accept', 'decline', 'cancel'] };
  if (mode === 'url') {
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    if (!['https:', 'http:'].includes(parsed?.protocol)) return { action: 'cancel' };
    Object.assign(prompt, { mode, url, domain: parsed.hostname, highlight: parsed.hostname });
    if (`.${parsed.hostname}`.includes('.xn--')) prompt.warning = 'The name of this site may imitate another.';
  }
  // An open dialog keeps its host alive, even if the SDK waits for nothing meanwhile.
  const window = setInterval(() => {}, 60_000);
  if (open >= dialogs) await new Promise((resolve) => queue.push(resolve));
  else open++;
  try {
    const { action } = await press(await shown(prompt, signal), signal);
    if (action === 'nothing') {
      // The dialog is left alone.
      await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
    }
    if (action !== 'accept') return { action };
    if (mode !== 'url') return { action, content: {} };
    await opened(url);
    return { action };
  } finally {
    clearInterval(window);
    setTimeout(() => (queue.length > 0 ? queue.shift()() : open--), pause);
  }
}

/**
 * Makes the calls of the task, of tools that are listed, and hands to the model whatever comes
 * of them. The function is given the parameters of tools/call, and the time-outs as options of
 * the SDKs; it returns or rejects as callTool does.
 */
export const follow = (tools, callTool) =>
  each(task, ({ id, tool, arguments: args, timeoutMs, maxMs }) => {
    const options = { ...(timeoutMs && { timeout: timeoutMs }), ...(maxMs && { maxTotalTimeout: maxMs }) };
    const text = ({ content }) => content.map(({ text = '' }) => text).join('');
    const offered = tools.some(({ name }) => name === tool);
    const outcome = offered ? callTool({ name: tool, arguments: args }, options) : Promise.reject(new Error('the model has no such tool'));
    return report(
      id,
      outcome.then((result) => ({ text: text(result), error: result.isError ?? false })),
    );
  });
