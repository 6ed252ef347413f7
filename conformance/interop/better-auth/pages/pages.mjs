// The script of the two pages, as an application's author writes it: all that it knows of
// OAuth is better-auth's own client, which passes the signed query of the page on, and goes
// where the answer says.

import { oauthProviderClient } from '@better-auth/oauth-provider/client';
import { createAuthClient } from 'better-auth/client';

// A page is at TENANT/sign-in, and the API at TENANT/auth.
const client = createAuthClient({ baseURL: new URL('auth', location).href, plugins: [oauthProviderClient()] });

/** Does what a form is for, once at a time, and says what went wrong, if something did. */
async function submit(event, action) {
  event.preventDefault();
  const buttons = event.target.querySelectorAll('button');
  for (const button of buttons) button.disabled = true;
  const { error } = await action();
  if (!error) return; // the client is on its way to the next page
  for (const button of buttons) button.disabled = false;
  document.querySelector('[role=alert]').textContent = error.message ?? `${error.status} ${error.statusText}`;
}

document.querySelector('#sign-in')?.addEventListener('submit', (event) => {
  const { email, password } = Object.fromEntries(new FormData(event.target));
  submit(event, () => client.signIn.email({ email, password }));
});

const consent = document.querySelector('#consent');
if (consent) {
  const scopes = new URLSearchParams(location.search).get('scope') ?? '';
  document.querySelector('#scopes').append(...scopes.split(' ').map((scope) => {
    const item = document.createElement('li');
    item.textContent = scope;
    return item;
  }));
  consent.addEventListener('submit', (event) => {
    const accept = event.submitter.value === 'yes';
    submit(event, () => client.oauth2.consent({ accept }));
  });
}

document.documentElement.dataset.ready = 'yes'; // for those who press buttons faster than people do
