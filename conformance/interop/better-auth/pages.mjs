// The pages of an application around better-auth, which has none of its own: sign in and
// consent. They need a browser with script. Their script is better-auth's own client, as it
// is installed, without a bundler: /modules/NAME is where Node finds the module of that name.

import { readFile } from 'node:fs/promises';

const here = new URL('.', import.meta.url);
const packages = '/node_modules/';

// Of which packages the client's modules are.
const names = ['@better-auth/core', '@better-auth/oauth-provider', '@better-fetch/fetch', 'better-auth', 'better-call', 'defu', 'nanostores', 'zod'];
const imports = JSON.stringify({ imports: Object.fromEntries(names.flatMap((name) => [
  [name, `/modules/${name}`], [`${name}/`, `/modules/${name}/`],
]).concat([
  // The plugin needs one of all plugins. What a bundler would shake off is not loaded either.
  ['better-auth/client/plugins', `${packages}better-auth/dist/plugins/device-authorization/client.mjs`],
])) });

/** Answers a request for a page or for what it loads; undefined if it is neither. */
export async function page(path) {
  const [, bare] = /^\/modules\/([\w@./-]+)$/.exec(path) ?? [];
  if (bare) {
    const { href } = new URL(import.meta.resolve(bare));
    return { status: 302, headers: { location: `/${href.slice(here.href.length)}`, 'cache-control': 'max-age=3600' } };
  }
  const [, name] = /^\/\w+\/(sign-in|consent)$/.exec(path) ?? [];
  const [, script] = /^\/\w+\/pages\/(\w+\.mjs)$/.exec(path) ?? [];
  if (name) {
    const html = await readFile(new URL(`pages/${name}.html`, here), 'utf8');
    const body = html.replace('type="importmap">', `$&${imports}`);
    return { status: 200, headers: { 'content-type': 'text/html' }, body };
  }
  if (script || path.startsWith(packages)) {
    const file = new URL(script ? `pages/${script}` : `.${path}`, here);
    if (!/\.m?js$/.test(file.pathname)) return { status: 404, headers: {} };
    return { status: 200, headers: { 'content-type': 'text/javascript', 'cache-control': 'max-age=3600' }, body: await readFile(file) };
  }
  return undefined;
}
