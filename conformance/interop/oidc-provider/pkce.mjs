// PKCE in the device flow, as hardened Keycloaks and Rauthy demand it. oidc-provider has
// none: its device authorization endpoint drops code_challenge, which is a parameter of
// front channels to it, and the grant of the device code compares nothing. But two of its
// hooks come by at the right moments. The one that validates further parameters refuses a
// device request without a challenge, and keeps the challenge in the parameters that are
// stored with the code. The one that finds the account of a code compares the verifier;
// the code is used by then, as it is with Keycloak.

import { createHash } from 'node:crypto';

import { errors } from 'oidc-provider';

/** Configuration to be added to the provider's. */
export const pkceInDeviceFlow = {
  extraParams: {
    device_code_challenge(ctx) {
      if (ctx.oidc.route !== 'device_authorization') return;
      const { code_challenge: challenge, code_challenge_method: method } = ctx.oidc.body;
      if (!challenge || method !== 'S256') throw new errors.InvalidRequest('PKCE with S256 is required of devices');
      ctx.oidc.params.device_code_challenge = challenge;
    },
  },
  findAccount(ctx, sub, token) {
    if (ctx.oidc.route === 'token' && token?.kind === 'DeviceCode') {
      const hash = createHash('sha256').update(String(ctx.oidc.body.code_verifier)).digest('base64url');
      if (hash !== token.params.device_code_challenge) throw new errors.InvalidGrant('the code_verifier is not right');
    }
    return { accountId: sub, claims: () => ({ sub }) };
  },
};
