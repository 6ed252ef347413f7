// A host on the TypeScript SDK, version 2: legacy unless told otherwise, modern
// by its own negotiation, which starts the server once to probe and once more
// to talk.

import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

import { capabilities, elicit, follow, task } from './harness.mjs';

const client = new Client(
  { name: task.name || 'interop-ts-v2', version: '1.0.0' },
  {
    capabilities,
    // Following the list makes subscriptions/listen the first message.
    listChanged: { tools: { onChanged: () => {} } },
    ...(task.modern && { versionNegotiation: { mode: 'auto' } }),
  },
);
if (capabilities.elicitation) client.setRequestHandler('elicitation/create', async (request) => elicit(request));

const transport = new StdioClientTransport({ command: task.command, args: task.args });
await follow(client, transport, (params, options) => client.callTool(params, options));
