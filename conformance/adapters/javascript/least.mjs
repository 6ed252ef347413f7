// The least host that shows how the adapter is used: it speaks 2025-11-25 over stdio, by hand.
//
//   hostcheck run --protocol 2025-11-25 --transport stdio --scenario consent --scenario refusal \
//     -- node conformance/adapters/javascript/least.mjs

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import { opened, outcome, press, shown, task } from './hostcheck.mjs';

const { server, steps } = await task(['shown', 'opened', 'outcome']);
const child = spawn(server.command[0], server.command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
const send = (message) => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);

const waiting = new Map(); // who waits for an answer, by the id of the request
let last = 0;
const request = (method, params) =>
  new Promise((resolve) => {
    waiting.set(++last, resolve);
    send({ id: last, method, params });
  });

/** Shows a prompt, and returns what the person did. */
async function elicit({ mode = 'form', message, url }) {
  const prompt = { mode, server: server.name, message, actions: ['accept', 'decline', 'cancel'], controls: ['retry', 'cancel'] };
  if (mode === 'url') {
    const { protocol, hostname } = new URL(url);
    if (!['http:', 'https:'].includes(protocol)) return { action: 'cancel' };
    Object.assign(prompt, { url, domain: hostname, highlight: hostname });
  }
  prompt.copyable = message.match(/[A-Z]{3}-\d{3}-\d{3}/g) ?? [];
  const { action } = await press(await shown(prompt));
  if (action === 'accept' && mode === 'url') await opened(url); // here a host opens the browser
  return mode === 'form' && action === 'accept' ? { action, content: {} } : { action };
}

/** Answers a request of the server. */
async function serve({ id, method, params }) {
  if (method === 'ping') send({ id, result: {} });
  else if (method === 'elicitation/create') send({ id, result: await elicit(params) });
  else send({ id, error: { code: -32601, message: 'Method not found' } });
}

createInterface({ input: child.stdout }).on('line', (line) => {
  const message = JSON.parse(line);
  if (message.method === undefined) {
    waiting.get(message.id)?.(message);
    waiting.delete(message.id);
  } else if (message.id !== undefined) {
    void serve(message);
  }
});

const { error: refused } = await request('initialize', {
  protocolVersion: '2025-11-25',
  capabilities: { elicitation: { form: {}, url: {} } },
  clientInfo: { name: 'least', version: '1.0.0' },
});
if (refused) throw new Error(refused.message); // such as that the server does not speak 2025-11-25
send({ method: 'notifications/initialized' });
for (const step of steps) {
  await Promise.all(
    step.map(async (call) => {
      const { result, error } = await request('tools/call', { name: call.tool, arguments: call.arguments });
      const text = error ? error.message : result.content.map((part) => part.text ?? '').join('');
      await outcome(call.id, text, Boolean(error ?? result.isError));
    }),
  );
}
child.stdin.end();
