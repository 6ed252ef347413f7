// A host on the client of the TypeScript SDK, version 2. It declares what it can show,
// speaks whichever protocol the server does, which has to be asked for, and leaves to the
// SDK all else that the SDK decides.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

import { ask, capabilities, follow, task } from './screen.mjs';

const client = new Client(
  { name: 'sdk-v2-host', version: '1.0.0' },
  { capabilities, versionNegotiation: { mode: 'auto' } },
);
client.setRequestHandler('elicitation/create', ({ params }, { mcpReq }) => ask(params, mcpReq?.signal));

const { url, command = [] } = task.server;
const [program, ...args] = command;
const transport = url
  ? new StreamableHTTPClientTransport(new URL(url))
  : new StdioClientTransport({ command: program, args });
await client.connect(transport);
const { tools } = await client.listTools();
await follow(tools, (params, options) => client.callTool(params, options));
await client.close();
