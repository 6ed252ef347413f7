package main

import "flag"

// {} stands for the program's name.
const help = `{} is an MCP server on standard input and output. Its tools (ping,
whoami, list_notes, create_note) call a notes API; all but ping need the user to
sign in, and ask for it when they are first called.

Usage, as the command in a host's configuration:

  {} -issuer URL -client-id ID -api URL [flags]
  {} -device-url URL -token-url URL -client-id ID -api URL [flags]

Usage at a terminal, with the same flags, so that it finds the same grants; the
command may stand before or after them:

  {} login [flags]     sign in ahead of time
  {} status [flags]    who is signed in, for what and until when
  {} logout [flags]    forget a grant and have its tokens ended

Where the user signs in (OAuth 2.0), and how:
  -issuer URL          the authorization server; its endpoints are looked up
  -device-url URL      instead, or where its metadata lacks one or has it wrong:
                       its device authorization endpoint,
  -token-url URL       its token endpoint, and
  -revocation-url URL  its revocation endpoint, if it has one, for logout
  -client-id ID        this server's client identifier there
  -client-secret TEXT  for confidential clients; better set the environment
                       variable NOTES_CLIENT_SECRET
  -client-auth METHOD  how it is sent: basic, in a header, or post, in the body.
                       If not given, as the server's metadata says, or else
                       the one that the server takes. Some servers do not
                       take secrets with / + = and the like in a header
  -flows LIST          redirect: a browser on this machine, which comes back
                       here; device: a code, which can be entered on any
                       machine; or both, the better one first. If not given,
                       redirect,device; with -device-url and -token-url,
                       device. Over SSH, in a container, and where nobody
                       comes back, the code is used, if it is in the list
  -redirect-uri URI    where the browser comes back to, for servers that want
                       to know that exactly, such as
                       http://127.0.0.1:8085/callback; if not given, a free
                       port of 127.0.0.1
  -open-browser        for hosts that show no links: have a call open the
                       sign-in in the browser, without asking before

What the tools call:
  -api URL             base URL of the API: GET /me, GET and POST /notes

Where grants are kept, and whose are used:
  -store KIND          memory (if not given): they end with the server;
                       keychain: in that of your desktop session;
                       file: in files encrypted with a key of yours;
                       unencrypted-file: in files that whoever gets at them can
                       use; or keychain,KIND to fall back to KIND where there
                       is no keychain, which is said on standard error. login,
                       status and logout need something else than memory
  -store-dir DIR       the folder of the files; if not given, notes-mcp/grants
                       in your configuration folder (~/.config, on Linux)
  NOTES_STORE_KEY      environment variable with the key for file: 32 random
                       bytes in base64 or hexadecimal, as from
                       openssl rand -base64 32; several separated by commas to
                       replace one: the first encrypts, all of them decrypt
  -account NAME        which of your accounts to use, such as work; if not
                       given, the environment variable NOTES_ACCOUNT, and
                       without that the account that has no name
  -token-env NAME      use the token in this environment variable, if it is
                       set, for all accounts, and ask nobody to sign in

Of the server:
  -mode MODE           lazy (if not given): the user is asked when a tool first
                       needs it; explicit: the tools auth_login, auth_status,
                       auth_logout and auth_upgrade_scope are there as well,
                       and in hosts up to protocol 2025-11-25 the others only
                       after a sign-in; eager: the user is asked when a session
                       begins. See docs/explicit.md
  -patience DURATION   how long a call waits for the user, such as 2m; 55s if
                       not given, since many hosts end calls after 60s. Hosts
                       that are known by name keep their own time, whatever is
                       given here: see docs/hosts.md

Of login, which opens the browser, or shows a code where there is none:
  -device              show a code in any case, to be entered on any machine
  -scopes "A B"        what to ask for besides profile: notes:read, notes:write
  -no-qr               show no QR code, for screen readers and narrow terminals

Of status and logout:
  -all                 all accounts; for status, that is so without -account

Other:
  -log FILE            append a log of what happens, as JSON lines
  -help                this text

Exit codes: 0 done, or signed in; 1 failed, declined, expired, or not signed in;
2 the command line is wrong; 130 interrupted, with Ctrl-C for example.

URLs are https, or http on a loopback address. To try it out:

  go run ./conformance/cmd/fakeas -addr 127.0.0.1:9070
  {} login -issuer http://127.0.0.1:9070 -client-id notes-cli \
    -api http://127.0.0.1:9070 -store unencrypted-file -store-dir /tmp/grants
`

// errHelp means that the help was asked for.
var errHelp = flag.ErrHelp
