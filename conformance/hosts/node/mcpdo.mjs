// mcpdo, the Inspector's command line with a daemon, which keeps the server. It reads
// inspector.json.tmpl, and declares both modes of elicitation: a call that is asked
// something stays with the daemon, and another command answers it.

import { press, shown } from '../../adapters/javascript/hostcheck.mjs';
import { config, invoke, task } from './command.mjs';
import { each, report } from './control.mjs';

const program = '@modelcontextprotocol/inspector/clients/mcpdo/build/mcp-bin.js';
const { name } = task.server;

/** Runs a command, and returns what it printed, which is JSON also of a call that failed. */
async function run(...args) {
  const { stdout, stderr } = await invoke(program, args);
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout);
}

async function call({ tool, arguments: args }) {
  let result = await run('--format', 'json', '--connection', name, 'tools/call', tool, JSON.stringify(args));
  if (result.elicitationPending) {
    const { elicitationId, mode, message, url } = result.elicitationPending;
    const { action } = await press(await shown({ mode, server: name, message, url }));
    const done = mode === 'url' ? '--done' : '{}';
    result = await run('--format', 'json', 'elicitation/respond', elicitationId, action === 'accept' ? done : '--decline');
  }
  const text = (result.content ?? []).map(({ text = '' }) => text).join('');
  return { text: text || JSON.stringify(result), error: result.isError ?? false };
}

await invoke(program, ['connect', name, '--config', config, '--elicit', 'both']);
await each(task, (c) => report(c.id, call(c)));
