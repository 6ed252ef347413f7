// The adapter protocol of hostcheck: what to do, and what happened.

const control = process.env.HOSTCHECK_CONTROL;
if (!control) throw new Error('HOSTCHECK_CONTROL is not set: this host is started by hostcheck');

/** Returns the task: the server, and the calls. It says what will be reported, beside what calls come to. */
export const learn = (...hooks) => talk(`task?hooks=${['outcome', ...hooks]}`);

/** Does something for each call of a task: for those of a step side by side. */
export async function each(task, call) {
  for (const step of task.steps) await Promise.all(step.map(call));
}

/** Gives what a call comes to, a promise of its text and whether that is an error, to the model. */
export async function report(call, outcome) {
  const { text, error } = await outcome.catch((reason) => ({ text: reason.message, error: true }));
  await talk('outcome', { call, text, error });
}

/** Makes a request of the control endpoint, with a body if there is one, and returns the answer. */
export async function talk(path, body, signal) {
  const response = await fetch(`${control}/${path}`, {
    signal,
    ...(body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`hostcheck answers ${response.status}`);
  return response.status === 204 ? undefined : response.json();
}
