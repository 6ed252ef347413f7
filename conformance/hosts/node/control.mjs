// What hostcheck tells these hosts to do, and what comes of it.

import { outcome, task } from '../../adapters/javascript/hostcheck.mjs';

/**
 * Returns the task: the server, and the calls. It says what will be reported, beside what calls
 * come to, and what the host does.
 */
export const learn = (hooks = [], does = []) => task(['outcome', ...hooks], does);

/** Does something for each call of a task: for those of a step side by side. */
export async function each({ steps }, call) {
  for (const step of steps) await Promise.all(step.map(call));
}

/** Gives what a call comes to, a promise of its text and whether that is an error, to the model. */
export async function report(call, came) {
  const { text, error } = await came.catch((reason) => ({ text: reason.message, error: true }));
  await outcome(call, text, error);
}
