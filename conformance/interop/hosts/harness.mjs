// What the TypeScript hosts have in common: commands come in on standard input,
// what happens goes out on standard output, one JSON object a line.
//
//   in:  {"id": 1, "list": true}
//        {"id": 2, "call": "whoami", "arguments": {}}
//   out: {"ready": true}
//        {"id": 1, "tools": ["ping", …]}
//        {"prompt": {"mode": "url", "message": …, "url": …}}
//        {"id": 2, "result": {…}}  or  {"id": 2, "error": "…", "code": -32602}
//
// The only argument is a JSON object: {"command", "args"} of the server to
// start, "modern", the client's "name" unless it is empty, and "reach": what to
// declare, "url" (elicitation in both modes), "form" (in one), "progress" (none,
// but progress is asked for) or "text" (neither). A progress message counts as a
// prompt, of mode "progress". A prompt whose message contains "refuses", unless
// that is empty, is declined after "deciding" milliseconds; a call may take "patience"
// milliseconds. When standard input ends the server is shut down as the SDK does it.

import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';

/** What to do, from the command line. */
export const task = JSON.parse(process.argv[2]);

/** The client's capabilities: both modes of elicitation, one, or none. */
export const capabilities =
  { url: { elicitation: { form: {}, url: {} } }, form: { elicitation: { form: {} } } }[task.reach] ?? {};

/** Reports the prompt and consents at once, as a host does that opens the browser itself; or declines, as people do. */
export async function elicit(request) {
  report({ prompt: request.params });
  if (task.refuses && request.params.message.includes(task.refuses)) {
    await setTimeout(task.deciding);
    return { action: 'decline' };
  }
  return request.params.mode === 'url' ? { action: 'accept' } : { action: 'accept', content: {} };
}

// What the SDK is told with each call. It makes up the progress token.
const options = {
  timeout: task.patience,
  ...(task.reach === 'progress' && { onprogress: ({ message }) => report({ prompt: { mode: 'progress', message } }) }),
};

/** Connects and follows commands until there are no more. callTool takes parameters and options. */
export async function follow(client, transport, callTool) {
  await client.connect(transport);
  report({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    // Not awaited: calls overlap, as they do in a host.
    obey(client, callTool, command).then(
      (outcome) => report({ id: command.id, ...outcome }),
      (error) => report({ id: command.id, error: String(error), code: typeof error.code === 'number' ? error.code : 0 }),
    );
  }
  await client.close();
}

async function obey(client, callTool, command) {
  if (command.list) {
    const { tools } = await client.listTools();
    return { tools: tools.map((tool) => tool.name) };
  }
  return { result: await callTool({ name: command.call, arguments: command.arguments }, options) };
}

function report(event) {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}
