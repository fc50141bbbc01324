-- +goose Up

-- WebAuthn user handle: random, made when the first passkey is; never the user's id.
ALTER TABLE users ADD COLUMN handle blob;
ALTER TABLE users ADD COLUMN frozen_at bigint NOT NULL DEFAULT 0;

-- lookup finds a passkey by a keyed hash of its credential id; blocked says why a credential answers nobody any more.
ALTER TABLE credentials ADD COLUMN lookup blob;
ALTER TABLE credentials ADD COLUMN changed_at bigint NOT NULL DEFAULT 0;
ALTER TABLE credentials ADD COLUMN blocked text NOT NULL DEFAULT '';
UPDATE credentials SET changed_at = created_at;
CREATE UNIQUE INDEX credentials_lookup ON credentials (lookup) WHERE lookup IS NOT NULL;
CREATE UNIQUE INDEX credentials_codes ON credentials (user_id) WHERE method = 'backup';

-- A removed phone or address still gets notices for a while and can be brought back; it signs nobody in.
ALTER TABLE identifiers ADD COLUMN removed_at bigint NOT NULL DEFAULT 0;

ALTER TABLE browsers ADD COLUMN trusted_until bigint NOT NULL DEFAULT 0;
ALTER TABLE browsers ADD COLUMN network text NOT NULL DEFAULT '';

-- Delivery of the outbox: a message is due, claimed for a while, then sent or dead. params are what a provider's template is filled with, sealed.
ALTER TABLE messages ADD COLUMN params blob;
ALTER TABLE messages ADD COLUMN attempts integer NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN due_at bigint NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN dead_at bigint NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN trouble text NOT NULL DEFAULT '';
ALTER TABLE messages ADD COLUMN receipt text NOT NULL DEFAULT '';
CREATE INDEX messages_due ON messages (due_at) WHERE sent_at = 0 AND dead_at = 0;
CREATE INDEX messages_dead ON messages (dead_at) WHERE dead_at > 0;
CREATE INDEX messages_user ON messages (user_id, id);
CREATE INDEX messages_full ON messages (sent_at) WHERE sent_at > 0 AND length(body) > 0;

-- Links in notices: their token's hash. A freeze link may be followed again; an undo link names a change.
CREATE TABLE links (
  hash blob PRIMARY KEY, kind text NOT NULL, user_id text NOT NULL REFERENCES users (id), object text NOT NULL, created_at bigint NOT NULL, expires_at bigint NOT NULL);
CREATE INDEX links_user ON links (user_id, kind);
CREATE INDEX links_expiry ON links (expires_at);

-- A phone or address that took the place of another (or of none), which can be undone for a time.
CREATE TABLE changes (
  id text PRIMARY KEY, user_id text NOT NULL REFERENCES users (id), old_id text NOT NULL, new_id text NOT NULL,
  at bigint NOT NULL, until bigint NOT NULL, undone_at bigint NOT NULL);
CREATE INDEX changes_user ON changes (user_id, id);
CREATE INDEX changes_until ON changes (until);

-- What people handle. data, sealed, names events, devices and networks, never the value of evidence.
CREATE TABLE cases (
  id text PRIMARY KEY, number text NOT NULL UNIQUE, kind text NOT NULL, state text NOT NULL, user_id text NOT NULL REFERENCES users (id), merchant text NOT NULL,
  opened_by text NOT NULL, opened_at bigint NOT NULL, due_at bigint NOT NULL, closed_at bigint NOT NULL, data blob NOT NULL);
CREATE INDEX cases_user ON cases (user_id, id);
CREATE INDEX cases_state ON cases (state, id);

-- What a person said of an event of his: "me" or "not_me".
CREATE TABLE answers (event_id text PRIMARY KEY, user_id text NOT NULL REFERENCES users (id), answer text NOT NULL, at bigint NOT NULL);
CREATE INDEX answers_user ON answers (user_id);

-- Codes that were sent by SMS, for the breaker.
CREATE TABLE sends (id text PRIMARY KEY, at bigint NOT NULL, prefix text NOT NULL, network blob NOT NULL, user_id text NOT NULL, used_at bigint NOT NULL);
CREATE INDEX sends_at ON sends (at);
CREATE INDEX sends_user ON sends (user_id, used_at);

-- Counts by the hour, over shards that do not wait for one another.
CREATE TABLE hours (kind text NOT NULL, hour bigint NOT NULL, shard integer NOT NULL, n bigint NOT NULL, PRIMARY KEY (kind, hour, shard));

-- Places a person has signed in from: a keyed hash.
CREATE TABLE places (user_id text NOT NULL REFERENCES users (id), place blob NOT NULL, last_at bigint NOT NULL, PRIMARY KEY (user_id, place));
