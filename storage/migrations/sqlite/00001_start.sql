-- +goose Up

-- One row: a known text sealed under the key ring, so that a wrong key is told at start.
CREATE TABLE ring_check (id integer PRIMARY KEY, sealed blob NOT NULL);

-- Caches drop what they hold when the number of its name moves.
CREATE TABLE versions (name text PRIMARY KEY, value bigint NOT NULL);
INSERT INTO versions (name, value) VALUES ('clients', 1), ('keys', 1);

CREATE TABLE merchants (
  id text PRIMARY KEY, no text NOT NULL UNIQUE, legal_name blob NOT NULL, name_lookup blob NOT NULL,
  tier text NOT NULL, status text NOT NULL, created_at bigint NOT NULL);
CREATE INDEX merchants_name ON merchants (name_lookup);

CREATE TABLE stores (
  id text PRIMARY KEY, merchant_id text NOT NULL REFERENCES merchants (id), name text NOT NULL, place text NOT NULL, created_at bigint NOT NULL);
CREATE INDEX stores_merchant ON stores (merchant_id, id);

CREATE TABLE users (
  id text PRIMARY KEY, name blob NOT NULL, language text NOT NULL, role text NOT NULL,
  merchant_id text REFERENCES merchants (id), store_id text REFERENCES stores (id),
  status text NOT NULL, frozen boolean NOT NULL, locked text NOT NULL, must_change boolean NOT NULL,
  created_at bigint NOT NULL, grace_from bigint NOT NULL);
CREATE INDEX users_merchant ON users (merchant_id, id);
CREATE INDEX users_role ON users (role, id);

-- lookup is a keyed hash of kind and normalised value: a login name names one user for ever.
CREATE TABLE identifiers (
  id text PRIMARY KEY, user_id text NOT NULL REFERENCES users (id), kind text NOT NULL, lookup blob NOT NULL UNIQUE, value blob NOT NULL,
  former boolean NOT NULL, verified_at bigint NOT NULL, last_proven_at bigint NOT NULL, created_at bigint NOT NULL);
CREATE INDEX identifiers_user ON identifiers (user_id, id);

CREATE TABLE credentials (
  id text PRIMARY KEY, user_id text NOT NULL REFERENCES users (id), method text NOT NULL, label text NOT NULL, data blob NOT NULL,
  counter bigint NOT NULL, failures integer NOT NULL, closed boolean NOT NULL, pending boolean NOT NULL, version bigint NOT NULL,
  created_at bigint NOT NULL, last_used_at bigint NOT NULL);
CREATE INDEX credentials_user ON credentials (user_id, method, id);
-- A guess is checked against exactly one password and one authenticator.
CREATE UNIQUE INDEX credentials_one ON credentials (user_id, method) WHERE method IN ('password', 'totp');

CREATE TABLE browsers (
  id text PRIMARY KEY, user_id text NOT NULL REFERENCES users (id), label text NOT NULL, generation bigint NOT NULL, moved_at bigint NOT NULL,
  created_at bigint NOT NULL, last_used_at bigint NOT NULL, revoked boolean NOT NULL);
CREATE INDEX browsers_user ON browsers (user_id, id);
CREATE INDEX browsers_used ON browsers (last_used_at);

CREATE TABLE sessions (
  id text PRIMARY KEY, token_hash blob NOT NULL UNIQUE, user_id text NOT NULL REFERENCES users (id), proofs text NOT NULL,
  browser_id text NOT NULL, device text NOT NULL, network text NOT NULL, created_at bigint NOT NULL, last_seen_at bigint NOT NULL,
  idle_until bigint NOT NULL, expires_at bigint NOT NULL, ended_at bigint NOT NULL, ended_reason text NOT NULL);
CREATE INDEX sessions_user ON sessions (user_id, ended_at, created_at);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE flows (
  id text PRIMARY KEY, token_hash blob NOT NULL UNIQUE, browser_hash blob NOT NULL, kind text NOT NULL, user_id text NOT NULL, demand blob NOT NULL,
  facts blob NOT NULL, version bigint NOT NULL, created_at bigint NOT NULL, expires_at bigint NOT NULL, ends_at bigint NOT NULL);
CREATE INDEX flows_expiry ON flows (expires_at);
CREATE INDEX flows_user ON flows (user_id);
CREATE INDEX flows_browser ON flows (browser_hash);

CREATE TABLE terminals (
  id text PRIMARY KEY, serial text NOT NULL UNIQUE, model text NOT NULL, kind text NOT NULL, merchant_id text NOT NULL REFERENCES merchants (id),
  store_id text NOT NULL REFERENCES stores (id), state text NOT NULL, created_at bigint NOT NULL, activated_at bigint NOT NULL, last_seen_at bigint NOT NULL);
CREATE INDEX terminals_merchant ON terminals (merchant_id, id);

CREATE TABLE clients (
  id text PRIMARY KEY, name text NOT NULL, secret_hashes text NOT NULL, redirects text NOT NULL, post_logout text NOT NULL, grants text NOT NULL,
  scopes text NOT NULL, audience text NOT NULL, first_party boolean NOT NULL, require_par boolean NOT NULL, any_port boolean NOT NULL,
  disabled boolean NOT NULL, created_at bigint NOT NULL, version bigint NOT NULL);

-- What a user allowed a client; the family of all its tokens.
CREATE TABLE grants (
  id text PRIMARY KEY, user_id text NOT NULL REFERENCES users (id), client_id text NOT NULL, terminal_id text NOT NULL, session_id text NOT NULL,
  scopes text NOT NULL, proofs text NOT NULL, auth_time bigint NOT NULL, created_at bigint NOT NULL, expires_at bigint NOT NULL,
  ended_at bigint NOT NULL, ended_reason text NOT NULL);
CREATE INDEX grants_user ON grants (user_id, ended_at, expires_at);
CREATE INDEX grants_terminal ON grants (terminal_id, ended_at);
CREATE INDEX grants_session ON grants (session_id, ended_at);
CREATE INDEX grants_expiry ON grants (expires_at);

-- Scopes a user has consented to, by client.
CREATE TABLE consents (
  user_id text NOT NULL REFERENCES users (id), client_id text NOT NULL, scopes text NOT NULL, created_at bigint NOT NULL, PRIMARY KEY (user_id, client_id));

-- Rows of the OAuth endpoints: authorization requests, codes, refresh tokens, used assertion ids.
-- signature is a hash; data holds the request; successor the sealed answer of the grace time.
CREATE TABLE tokens (
  kind text NOT NULL, signature text NOT NULL, family text NOT NULL, client_id text NOT NULL, active boolean NOT NULL,
  created_at bigint NOT NULL, expires_at bigint NOT NULL, used_at bigint NOT NULL, data blob NOT NULL, successor blob NOT NULL, PRIMARY KEY (kind, signature));
CREATE INDEX tokens_family ON tokens (family);
CREATE INDEX tokens_expiry ON tokens (expires_at);

-- Device authorization requests (RFC 8628); both codes as hashes.
CREATE TABLE device_requests (
  id text PRIMARY KEY, device_hash blob NOT NULL UNIQUE, user_code_mac blob NOT NULL UNIQUE, client_id text NOT NULL, terminal_id text NOT NULL, asker blob NOT NULL,
  scopes text NOT NULL, match_number integer NOT NULL, choices text NOT NULL, state text NOT NULL, grant_id text NOT NULL, network text NOT NULL,
  created_at bigint NOT NULL, expires_at bigint NOT NULL, poll_interval bigint NOT NULL, next_poll_at bigint NOT NULL,
  was_state text NOT NULL, too_soon boolean NOT NULL); -- as the last poll found it
CREATE INDEX device_requests_terminal ON device_requests (terminal_id, state);
CREATE INDEX device_requests_expiry ON device_requests (expires_at);

-- Keys that sign tokens; the private half is sealed.
CREATE TABLE signing_keys (
  id text PRIMARY KEY, alg text NOT NULL, state text NOT NULL, public_jwk text NOT NULL, private blob NOT NULL, created_at bigint NOT NULL);

CREATE TABLE events (
  id text PRIMARY KEY, at bigint NOT NULL, name text NOT NULL, actor text NOT NULL, subject text NOT NULL, merchant text NOT NULL, store text NOT NULL,
  terminal text NOT NULL, client text NOT NULL, session text NOT NULL, flow text NOT NULL, network text NOT NULL, reason text NOT NULL,
  explain text NOT NULL, policy bigint NOT NULL, data text NOT NULL);
CREATE INDEX events_at ON events (at);
CREATE INDEX events_subject ON events (subject, id);
CREATE INDEX events_merchant ON events (merchant, id);
CREATE INDEX events_name ON events (name, id);
CREATE INDEX events_client ON events (client, id);
CREATE INDEX events_terminal ON events (terminal, id);
CREATE INDEX events_explain ON events (explain);

-- The outbox. Address and texts are sealed.
CREATE TABLE messages (
  id text PRIMARY KEY, user_id text NOT NULL, channel text NOT NULL, address blob NOT NULL, template text NOT NULL, language text NOT NULL,
  body blob NOT NULL, created_at bigint NOT NULL, sent_at bigint NOT NULL);
CREATE INDEX messages_created ON messages (created_at);

-- Buckets and waits of throttling: one conditional statement each.
CREATE TABLE limits (kind text NOT NULL, key blob NOT NULL, tat bigint NOT NULL, PRIMARY KEY (kind, key));
CREATE INDEX limits_tat ON limits (tat);
CREATE TABLE waits (kind text NOT NULL, key blob NOT NULL, fails integer NOT NULL, next_at bigint NOT NULL, last_at bigint NOT NULL, PRIMARY KEY (kind, key));
CREATE INDEX waits_last ON waits (last_at);

-- Truncated keyed marks of the last wrong passwords: too short to test a guess with.
CREATE TABLE marks (id text PRIMARY KEY, credential text NOT NULL, version bigint NOT NULL, mark integer NOT NULL, at bigint NOT NULL);
CREATE INDEX marks_credential ON marks (credential, at);

-- Accounts with a good sign-in from a network: a shared address earns room by its good users.
CREATE TABLE network_users (network blob NOT NULL, user_id text NOT NULL, last_at bigint NOT NULL, PRIMARY KEY (network, user_id));
CREATE INDEX network_users_last ON network_users (last_at);
