-- +goose Up

-- What the console lists and counts, without a look at every row.
CREATE INDEX users_status ON users (status, id);
CREATE INDEX users_locked ON users (id) WHERE locked <> '';
CREATE INDEX users_frozen ON users (id) WHERE frozen;
CREATE INDEX users_store ON users (store_id, id) WHERE store_id IS NOT NULL;
CREATE INDEX merchants_status ON merchants (status, no);
CREATE INDEX terminals_state ON terminals (state, serial);
CREATE INDEX terminals_store ON terminals (store_id, serial);
CREATE INDEX messages_template ON messages (template, id);
CREATE INDEX messages_sent ON messages (sent_at, channel) WHERE sent_at > 0;
-- Who holds what is counted in this index and that of states alone.
CREATE INDEX credentials_held ON credentials (user_id, method) WHERE NOT pending AND blocked = '';
-- Failures of a day by their cause are counted in this index alone.
CREATE INDEX events_failed ON events (id, reason) WHERE name = 'signin.failed';

-- Programs that serve this database, and how their background jobs went last: for the page of health.
CREATE TABLE replicas (id text PRIMARY KEY, host text NOT NULL, version text NOT NULL, started_at bigint NOT NULL, seen_at bigint NOT NULL);
CREATE TABLE job_runs (name text NOT NULL, replica text NOT NULL, at bigint NOT NULL, took bigint NOT NULL, failed boolean NOT NULL, PRIMARY KEY (name, replica));
