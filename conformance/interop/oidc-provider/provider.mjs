// The authorization server of the interoperability tests: oidc-provider as it
// comes, with the features that a device client and a native one with a redirect
// need, and its own development pages for signing in.
//
// One JSON object on standard input configures it: {"scopes": [...], "clients":
// [...]}, clients as oidc-provider takes them. Further clients register
// themselves (RFC 7591); theirs may have device_code_ttl and access_token_ttl,
// in seconds; "access_token_ttl" is for those without one. With "folder" it keeps there
// what it knows, instead of forgetting it when it ends; "port" and "key", which signs
// cookies, then have to be those of the time before. "host" is its name instead of 127.0.0.1. "par" is "off" or "required"
// instead of possible (RFC 9126), and "strict" demands PKCE in the device flow as well
// (pkce.mjs). "pairwise" gives each client another subject for the same person (OpenID Connect Core 1.0 section 8.1), and
// everybody an employee_id that is the same everywhere; tokens for a resource (RFC 8707) are JWTs there. It prints one line, {"issuer", "management"}, when it listens.
// Standard input is also its leash: when that ends, so does the process,
// whatever became of the test.

import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import { Provider } from 'oidc-provider';

import { filesIn } from './files.mjs';
import { pkceInDeviceFlow } from './pkce.mjs';

const lines = createInterface({ input: process.stdin });
lines.on('close', () => process.exit(0));
const config = JSON.parse(await new Promise((resolve) => lines.once('line', resolve)));

const pairwise = {
  subjectTypes: ['pairwise'],
  pairwiseIdentifier: (ctx, account, client) =>
    createHash('sha256').update(`${client.sectorIdentifier} ${account}`).digest('base64url'),
  claims: { openid: ['sub'], profile: ['employee_id'] },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, employee_id: `employee of ${id}` }) }),
  // What an introspection response has, too.
  extraTokenClaims: (ctx, token) => token.accountId && { employee_id: `employee of ${token.accountId}` },
};

const forResources = {
  enabled: true,
  getResourceServerInfo: (ctx, resource) => ({ scope: 'mcp', audience: resource, accessTokenFormat: 'jwt' }),
};

// By itself Node.js closes a connection five seconds after the last request, which is the interval of polls: where this
// process stands still for a moment it does so to a poll that has come by then, whose answer, a denial say, is lost.
const server = createServer({ keepAliveTimeout: 120_000 });
const issuer = await listen(server, config.port, config.host);
const provider = new Provider(issuer, {
  adapter: config.folder ? filesIn(config.folder) : undefined,
  clients: config.clients,
  extraClientMetadata: { properties: ['device_code_ttl', 'access_token_ttl'] },
  scopes: config.scopes,
  cookies: { keys: [config.key ?? randomBytes(24).toString('base64url')] },
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: true },
    introspection: { enabled: true },
    pushedAuthorizationRequests: {
      enabled: config.par !== 'off',
      requirePushedAuthorizationRequests: config.par === 'required',
    },
    ...(config.pairwise ? { resourceIndicators: forResources } : {}),
    registration: {
      enabled: true,
      // Ids and secrets that have to be form-encoded wherever they go, in a
      // Basic header too (RFC 6749 section 2.3.1).
      idFactory: () => `notes:${randomBytes(6).toString('hex')}`,
      secretFactory: () => `${randomBytes(24).toString('base64url')}+/=:%&~`,
    },
    revocation: { enabled: true },
  },
  ...(config.strict ? pkceInDeviceFlow : {}),
  ...(config.pairwise ? pairwise : {}),
  pkce: { required: () => true }, // of clients with a secret as well
  // Without this only openid clients that ask for offline_access get one.
  issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: true,
  ttl: {
    AccessToken: (ctx, token, client) => client.access_token_ttl ?? config.access_token_ttl ?? 3600,
    ClientCredentials: (ctx, token, client) => client.access_token_ttl ?? config.access_token_ttl ?? 3600,
    DeviceCode: (ctx, token, client) => client.device_code_ttl ?? 600,
    Grant: 3600,
    Interaction: 600,
    RefreshToken: 3600,
    Session: 3600,
  },
});

// Everything a client sent or was given, for the tests that look for secrets
// where there should be none; and what a browser asked for in a client's name at the
// authorization endpoint. It is complete when the client has its answer: this runs
// before the answer is written.
const journal = [];
const now = () => performance.timeOrigin + performance.now();
provider.use(async (ctx, next) => {
  const entry = { path: ctx.path, start: now() };
  if (ctx.method === 'POST' || ctx.path === '/auth') journal.push(entry);
  await next();
  const sent = ctx.oidc?.params ?? {};
  const given = typeof ctx.body === 'object' && ctx.body !== null ? ctx.body : {};
  Object.assign(entry, {
    status: ctx.status,
    client_id: ctx.oidc?.client?.clientId ?? given.client_id,
    client_name: given.client_name,
    grant: ctx.oidc?.entities?.Grant?.jti,
    grant_type: sent.grant_type,
    device_code: given.device_code ?? sent.device_code,
    user_code: given.user_code,
    access_token: given.access_token,
    refresh_token: given.refresh_token,
    presented: sent.refresh_token,
    code: sent.code,
    verifier: ctx.oidc?.body?.code_verifier,
    challenge: sent.code_challenge,
    state: sent.state,
    login_hint: sent.login_hint,
    request_uri: given.request_uri ?? ctx.query.request_uri,
    scope: given.scope ?? sent.scope,
    error: given.error,
    end: now(),
  });
});

// The development pages grant all that is asked for, or nothing. A consent form
// that is sent with ?without=SCOPE is one on which a box was cleared: the scope
// is rejected and the others are granted, in the way the documentation tells
// those to do it who write pages of their own.
provider.use(async (ctx, next) => {
  const { without } = ctx.query;
  if (ctx.method !== 'POST' || !without) return next();
  const { grantId, params, prompt, session } = await provider.interactionDetails(ctx.req, ctx.res);
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  for (const scope of prompt.details.missingOIDCScope) {
    if ([without].flat().includes(scope)) grant.rejectOIDCScope(scope);
    else grant.addOIDCScope(scope);
  }
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, { consent: { grantId: await grant.save() } }));
  ctx.status = 303;
});
server.on('request', provider.callback());

// Management is a listener of its own, so that nothing the client may ask for
// has a test hook among it. DELETE /clients/ID makes the server forget a client, as those
// do that clean up, or are set up anew; what was issued to it stays where it is.
const management = createServer({ keepAliveTimeout: 120_000 }, async (request, response) => {
  response.setHeader('content-type', 'application/json');
  const id = /^\/clients\/(.+)$/.exec(request.url)?.[1];
  if (request.method === 'DELETE' && id) await provider.Client.adapter.destroy(decodeURIComponent(id));
  response.end(JSON.stringify(journal));
});

console.log(JSON.stringify({ issuer, management: await listen(management) }));

function listen(listener, port = 0, host = '127.0.0.1') {
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(port, '127.0.0.1', () => resolve(`http://${host}:${listener.address().port}`));
  });
}
