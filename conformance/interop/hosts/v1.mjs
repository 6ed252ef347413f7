// A host on the TypeScript SDK, version 1: legacy era only.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

import { capabilities, elicit, follow, task } from './harness.mjs';

const client = new Client({ name: task.name || 'interop-ts-v1', version: '1.0.0' }, { capabilities });
if (capabilities.elicitation) client.setRequestHandler(ElicitRequestSchema, async (request) => elicit(request));

const transport = new StdioClientTransport({ command: task.command, args: task.args });
await follow(client, transport, (params, options) => client.callTool(params, undefined, options));
