// mcporter, which reads mcporter.json.tmpl. Its --timeout is not the time-out of a call: it
// covers the start of the server and the connection, too.

import { config, follow } from './command.mjs';

await follow('mcporter/dist/cli.js', ({ tool, arguments: args }, server) => [
  ...['--config', config, 'call', `${server}.${tool}`, '--args', JSON.stringify(args)],
]);
