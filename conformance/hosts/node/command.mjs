// What the command-line hosts have in common: each call is a run of the program, with a
// home directory of its own, and what it prints is what the model reads.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { each, learn, report } from './control.mjs';

/** The configuration that hostcheck has rendered for this scenario. */
export const config = process.env.HOSTCHECK_CONFIG;

const task = await learn();

/**
 * Runs the program, a file below node_modules, for each call, with what args makes of the
 * call and the server's name. Read makes the text of a result of what a run printed that
 * did not fail.
 */
export async function follow(file, args, read = (output) => output.trimEnd()) {
  const program = fileURLToPath(new URL(`node_modules/${file}`, import.meta.url));
  await each(task, (call) => report(call.id, run([program, ...args(call, task.server.name)], read)));
}

async function run(args, read) {
  const home = process.env.HOSTCHECK_DIR;
  const env = { HOME: home, USERPROFILE: home, MCP_INSPECTOR_SECRET_STORE: 'file' };
  for (const name of ['PATH', 'TMPDIR', 'SystemRoot', 'TEMP']) {
    if (process.env[name] !== undefined) env[name] = process.env[name];
  }
  const child = spawn(process.execPath, args, { env, cwd: home, stdio: ['ignore', 'pipe', 'pipe'] });
  const printed = { stdout: '', stderr: '' };
  for (const name of Object.keys(printed)) {
    child[name].setEncoding('utf8').on('data', (chunk) => (printed[name] += chunk));
  }
  const status = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  process.stderr.write(printed.stderr);
  if (status !== 0) return { text: printed.stdout + printed.stderr, error: true };
  return { text: read(printed.stdout), error: false };
}
