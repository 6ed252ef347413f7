// The MCP Inspector's command line, which reads inspector.json.tmpl. It cannot be told how
// long a call may take.

import { config, follow } from './command.mjs';

const read = (output) => JSON.parse(output).result.content.map(({ text = '' }) => text).join('');

await follow(
  '@modelcontextprotocol/inspector/clients/launcher/build/index.js',
  ({ tool, arguments: args }, server) => [
    ...['--cli', '--quiet', '--format', 'json', '--config', config, '--server', server],
    ...['--method', 'tools/call', '--tool-name', tool, '--tool-args-json', JSON.stringify(args)],
  ],
  read,
);
