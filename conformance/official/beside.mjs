// Lets the suite's tier-check read results of hostcheck beside its own, off the network. It has the suite
// write its client's results to a new folder, and scores all that is in there: BESIDE is a folder of results
// that are in there, too. Repository health, which it asks GitHub for, is that of one without anything: it
// is no subject here. Node.js 20 lacks fs.globSync, of which the suite uses one pattern.
import { register } from 'node:module';

const source = (text) => 'data:text/javascript,' + encodeURIComponent(text);
const stand = source(`
  import * as fs from 'node:fs';
  export * from 'node:fs';
  export const globSync = fs.globSync ?? ((pattern, { cwd }) => {
    if (pattern !== '**/checks.json') throw new Error('fs.globSync needs Node.js 22');
    return fs.readdirSync(cwd, { recursive: true }).filter((name) => name.split('/').at(-1) === 'checks.json');
  });
  export function mkdtempSync(prefix, ...rest) {
    const folder = fs.mkdtempSync(prefix, ...rest);
    if (prefix.includes('tier-check-client-') && process.env.BESIDE)
      fs.cpSync(process.env.BESIDE, folder, { recursive: true });
    return folder;
  }`);
register(source(`
  export function resolve(specifier, context, next) {
    const suite = context.parentURL?.includes('/node_modules/@modelcontextprotocol/conformance/');
    return suite && specifier === 'fs' ? { url: ${JSON.stringify(stand)}, shortCircuit: true } : next(specifier, context);
  }`));

const fetched = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  const url = new URL(input?.url ?? input);
  if (url.hostname !== 'api.github.com') return fetched(input, init);
  const list = /\/(labels|issues|releases)$/.test(url.pathname);
  return Response.json(list ? [] : { message: 'Not Found' }, { status: list ? 200 : 404 });
};
