// What the command-line hosts have in common: each call is a run of the program, with a
// home directory of its own, and what it prints is what the model reads.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { each, learn, report } from './control.mjs';

/** The configuration that hostcheck has rendered for this scenario. */
export const config = process.env.HOSTCHECK_CONFIG;

/** What to do. */
export const task = await learn();

/**
 * Runs the program, a file below node_modules, for each call, with what args makes of the
 * call and the server's name. Read makes the text of a result of what a run printed that
 * did not fail.
 */
export async function follow(file, args, read = (output) => output.trimEnd()) {
  await each(task, (call) => report(call.id, run(file, args(call, task.server.name), read)));
}

async function run(file, args, read) {
  const { status, stdout, stderr } = await invoke(file, args);
  if (status !== 0) return { text: stdout + stderr, error: true };
  return { text: read(stdout), error: false };
}

/** Runs the program once, in the folder that is its home, and returns how it ended and what it printed. */
export async function invoke(file, args) {
  const program = fileURLToPath(new URL(`node_modules/${file}`, import.meta.url));
  const home = process.env.HOSTCHECK_DIR;
  const env = { HOME: home, USERPROFILE: home, MCP_INSPECTOR_SECRET_STORE: 'file' };
  for (const name of ['PATH', 'TMPDIR', 'SystemRoot', 'TEMP']) {
    if (process.env[name] !== undefined) env[name] = process.env[name];
  }
  const child = spawn(process.execPath, [program, ...args], { env, cwd: home, stdio: ['ignore', 'pipe', 'pipe'] });
  const printed = { stdout: '', stderr: '' };
  for (const name of Object.keys(printed)) {
    child[name].setEncoding('utf8').on('data', (chunk) => (printed[name] += chunk));
  }
  const status = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  process.stderr.write(printed.stderr);
  return { status, ...printed };
}
