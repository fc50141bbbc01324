-- +goose Up

-- Delayed recoveries, and what came of the others. data, sealed, names the proofs and what was lost.
CREATE TABLE recoveries (
  id text PRIMARY KEY, user_id text NOT NULL REFERENCES users (id), state text NOT NULL, lost text NOT NULL, row_no integer NOT NULL, level integer NOT NULL,
  withheld text NOT NULL, flow text NOT NULL, started_at bigint NOT NULL, due_at bigint NOT NULL, until bigint NOT NULL, ended_at bigint NOT NULL,
  told integer NOT NULL, data blob NOT NULL);
-- One of a person waits at a time.
CREATE UNIQUE INDEX recoveries_waiting ON recoveries (user_id) WHERE state = 'waiting';
CREATE INDEX recoveries_due ON recoveries (due_at, id) WHERE state = 'waiting';
CREATE INDEX recoveries_user ON recoveries (user_id, id);

-- What a recovery keeps back from a person, and until when.
ALTER TABLE users ADD COLUMN withheld text NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN withheld_until bigint NOT NULL DEFAULT 0;
-- When a money scope was last given to him, to the hour.
ALTER TABLE users ADD COLUMN money_at bigint NOT NULL DEFAULT 0;
-- Shift of operator staff; last day of merchant staff.
ALTER TABLE users ADD COLUMN team text NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN leaves_at bigint NOT NULL DEFAULT 0;
CREATE INDEX users_leaving ON users (leaves_at) WHERE leaves_at > 0;

-- Groups of proofs by which a recovery set a password.
ALTER TABLE credentials ADD COLUMN via text NOT NULL DEFAULT '';

-- Until when a phone or address proves nothing, because its owner stopped what it began.
ALTER TABLE identifiers ADD COLUMN disputed_until bigint NOT NULL DEFAULT 0;

-- Keyed hashes of what an agent compares: tail of the identity document, birthday. Never the value.
CREATE TABLE evidence (user_id text NOT NULL REFERENCES users (id), kind text NOT NULL, hash blob NOT NULL, at bigint NOT NULL, PRIMARY KEY (user_id, kind));
