// The other authorization server of the interoperability tests: better-auth as
// it comes, with its plugins for OAuth clients and for device authorization,
// and its tables in memory. It has several tenants, each an issuer with a path
// on one and the same origin: what a client discovers, it owes to the path.
//
// One JSON object on standard input configures it: {"scopes": [...], "tenants":
// {NAME: {"interval", "hurries", "accessTokenTTL"}}}, an interval as better-auth takes it
// ("5s", its default) and a lifetime in seconds. Where it hurries, the second poll for a
// device code comes too early, however late it comes. It prints one line when it
// listens: {"management", "tenants": {NAME: {"issuer", "registration",
// "introspection", "revocation"}}}. Clients register themselves (RFC 7591).
// Standard input is also its leash: when that ends, so does the process,
// whatever became of the test.

import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import { getOAuthProviderApi, oauthDeviceAuthorization, oauthProvider } from '@better-auth/oauth-provider';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { getAuthTables } from 'better-auth/db';

import { page } from './pages.mjs';

const lines = createInterface({ input: process.stdin });
lines.on('close', () => process.exit(0));
const config = JSON.parse(await new Promise((resolve) => lines.once('line', resolve)));

// By itself Node.js closes a connection five seconds after the last request, which is the interval of polls: where this
// process stands still for a moment it does so to a poll that has come by then, whose answer, a denial say, is lost.
const server = createServer({ keepAliveTimeout: 120_000 });
// A name that is not the address which redirects go back to: to a browser, the two are two
// sites.
const origin = await listen(server, 'localhost');
const tenants = new Map();
for (const [name, choice] of Object.entries(config.tenants)) {
  tenants.set(name, await open(`${origin}/${name}/auth`, choice));
}

/** Opens a tenant. */
async function open(issuer, choice) {
  const options = {
    baseURL: issuer,
    secret: randomBytes(32).toString('base64url'),
    emailAndPassword: { enabled: true },
    rateLimit: { enabled: false }, // the default, unless NODE_ENV is production
    telemetry: { enabled: false },
    plugins: [
      oauthProvider({
        // Without openid it is an OAuth server only, and has no OpenID
        // configuration to fall back to.
        scopes: config.scopes,
        accessTokenExpiresIn: choice.accessTokenTTL ?? 3600,
        allowDynamicClientRegistration: true,
        allowUnauthenticatedClientRegistration: true,
        // Ids and secrets that have to be form-encoded wherever they go, in a
        // Basic header too (RFC 6749 section 2.3.1).
        generateClientId: () => `notes:${randomBytes(6).toString('hex')}`,
        generateClientSecret: () => `${randomBytes(24).toString('base64url')}+/=:%&~`,
        disableJwtPlugin: true, // tokens that only the server can read
        loginPage: new URL('sign-in', issuer).href,
        consentPage: new URL('consent', issuer).href,
      }),
      oauthDeviceAuthorization({
        interval: choice.interval ?? '5s',
        // It has no pages of its own. This is where the script of one would
        // ask what a code is for.
        verificationUri: `${issuer}/device`,
      }),
    ],
  };
  const tables = Object.fromEntries(Object.keys(getAuthTables(options)).map((table) => [table, []]));
  const auth = betterAuth({ ...options, database: memoryAdapter(tables) });
  const context = await auth.$context;
  const api = getOAuthProviderApi({ context }, context.getPlugin('oauth-provider').options);
  return { issuer, auth, api, adapter: context.adapter, polls: choice.hurries ? new Map() : undefined };
}

/** Where a tenant hurries, makes the second poll for a code come right after the first: for its rules, not by the clock. */
async function hurry({ polls, adapter }, body) {
  const code = new URLSearchParams(body).get('device_code');
  if (!polls || !code) return;
  polls.set(code, (polls.get(code) ?? 0) + 1);
  if (polls.get(code) !== 2) return;
  await adapter.update({ model: 'deviceCode', where: [{ field: 'deviceCode', value: code }], update: { lastPolledAt: new Date() } });
}

// Everything a client sent or was given, for the tests that look for secrets
// where there should be none, and which metadata it asked for. It is complete
// when the client has its answer: this runs before the answer is written.
const journal = [];
server.on('request', async (request, response) => {
  const entry = { path: request.url, start: performance.now() };
  const body = await text(request);
  if (request.method === 'POST' || /\/\.well-known\/|\/oauth2\/authorize\?/.test(request.url)) journal.push(entry);

  // The well-known part comes before the issuer's path: search all of it.
  const path = new URL(request.url, origin).pathname;
  const shown = await page(path);
  if (shown) {
    response.writeHead(shown.status, shown.headers).end(shown.body);
    return;
  }
  const tenant = [...tenants.values()].find(({ issuer }) => path.includes(new URL(issuer).pathname));
  if (!tenant) {
    entry.status = 404;
    response.writeHead(404).end();
    return;
  }
  await hurry(tenant, body);
  const answer = await tenant.auth.handler(new Request(origin + request.url, {
    method: request.method,
    headers: request.headers,
    body: body === '' ? undefined : body,
  }));
  const given = await answer.text();
  Object.assign(entry, { status: answer.status, ...noted(request, body, given), end: performance.now() });
  response.writeHead(answer.status, [...answer.headers].flat());
  response.end(given);
});

/** What the journal says about a request and the answer to it. */
function noted(request, body, answer) {
  const sent = request.headers['content-type']?.startsWith('application/json') ? parse(body)
    : Object.fromEntries(new URLSearchParams(request.method === 'POST' ? body : new URL(request.url, origin).search));
  const given = parse(answer);
  const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? '');
  const name = basic && Buffer.from(basic[1], 'base64').toString().split(':')[0];
  return {
    client_id: name ? decodeURIComponent(name.replaceAll('+', ' ')) : sent.client_id ?? given.client_id,
    client_name: given.client_name,
    grant_type: sent.grant_type,
    device_code: given.device_code ?? sent.device_code,
    user_code: given.user_code ?? sent.userCode,
    interval: given.interval,
    access_token: given.access_token,
    refresh_token: given.refresh_token,
    scope: given.scope ?? sent.scope,
    error: given.error,
    presented: sent.refresh_token,
    code: sent.code,
    verifier: sent.code_verifier,
    challenge: sent.code_challenge,
    state: sent.state,
    login_hint: sent.login_hint,
  };
}

// Management is a listener of its own, so that nothing the client may ask for
// has a test hook among it. Introspection is here because better-auth's own
// answers none but the client that a token was issued to: an API is expected to
// be part of the application, and to ask the way that this does. DELETE /TENANT/clients/ID
// makes it forget a client.
const management = createServer({ keepAliveTimeout: 120_000 }, async (request, response) => {
  response.setHeader('content-type', 'application/json');
  const [, name, id] = /^\/(\w+)(?:\/clients\/(.+))?$/.exec(request.url) ?? [];
  const tenant = tenants.get(name);
  if (!tenant) {
    response.end(JSON.stringify(journal));
    return;
  }
  if (id) {
    if (request.method === 'DELETE') {
      await tenant.adapter.delete({ model: 'oauthClient', where: [{ field: 'clientId', value: decodeURIComponent(id) }] });
    }
    response.end('{}');
    return;
  }
  const token = new URLSearchParams(await text(request)).get('token');
  const claims = await tenant.api.validateAccessToken(token).catch(() => ({ active: false }));
  response.end(JSON.stringify(claims));
});
const managed = await listen(management);

console.log(JSON.stringify({
  management: managed,
  tenants: Object.fromEntries([...tenants].map(([name, { issuer }]) => [name, {
    issuer,
    registration: `${issuer}/oauth2/register`,
    introspection: `${managed}/${name}`,
    revocation: `${issuer}/oauth2/revoke`,
  }])),
}));

function listen(listener, host = '127.0.0.1') {
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', () => resolve(`http://${host}:${listener.address().port}`));
  });
}

async function text(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Parses a JSON object; anything else is an empty one. */
function parse(json) {
  try {
    return Object(JSON.parse(json));
  } catch {
    return {};
  }
}
