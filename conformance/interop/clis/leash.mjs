// Runs one of the programs here in this process, for as long as standard input stays
// open: node leash.mjs SCRIPT ARGUMENTS. A host's daemon, which is made to outlive who
// started it, ends with the test, however that ends.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

process.argv.splice(1, 2, resolve(process.argv[2]));
// A program that minds being ended is asked, as by a signal.
process.stdin.on('end', () => process.emit('SIGTERM') || process.exit(1));
process.stdin.resume();
process.stdin.unref?.(); // the program need not wait for it

await import(pathToFileURL(process.argv[1]));
