// Lets Node.js 20 run the suite: it imports globSync of node:fs by name, which is there from version 22
// on, and uses it in a command that is not run here. Not needed on a later version, and harmless there.
import * as fs from 'node:fs';
import { register } from 'node:module';

if (!fs.globSync) {
  const source = (text) => 'data:text/javascript,' + encodeURIComponent(text);
  const stand = source(`
    export * from 'node:fs';
    export function globSync() { throw new Error('fs.globSync needs Node.js 22'); }`);
  register(source(`
    export function resolve(specifier, context, next) {
      const suite = context.parentURL?.includes('/node_modules/@modelcontextprotocol/conformance/');
      return suite && specifier === 'fs' ? { url: ${JSON.stringify(stand)}, shortCircuit: true } : next(specifier, context);
    }`));
}
