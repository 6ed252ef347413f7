// A host on the client of the TypeScript SDK, version 1. It declares what it can show, and
// leaves to the SDK all that the SDK decides.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

import { ask, capabilities, follow, task } from './screen.mjs';

const client = new Client({ name: 'sdk-v1-host', version: '1.0.0' }, { capabilities });
client.setRequestHandler(ElicitRequestSchema, ({ params }, { signal }) => ask(params, signal));

const { url, command = [] } = task.server;
const [program, ...args] = command;
const transport = url
  ? new StreamableHTTPClientTransport(new URL(url))
  : new StdioClientTransport({ command: program, args });
await client.connect(transport);
const { tools } = await client.listTools();
await follow(tools, (params, options) => client.callTool(params, undefined, options));
await client.close();
