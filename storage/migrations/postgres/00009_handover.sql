-- +goose Up

-- A merchant passes from one owner to another. due_at is when a proposal expires, or when the time to cool is over;
-- remind_at, until it was done, when both are reminded of that.
CREATE TABLE handovers (
  id text PRIMARY KEY, merchant_id text NOT NULL REFERENCES merchants (id), from_user text NOT NULL REFERENCES users (id), to_user text NOT NULL REFERENCES users (id),
  state text NOT NULL, stays boolean NOT NULL, joined boolean NOT NULL, case_id text NOT NULL, cause text NOT NULL,
  proposed_at bigint NOT NULL, accepted_at bigint NOT NULL, due_at bigint NOT NULL, remind_at bigint NOT NULL, ended_at bigint NOT NULL);
-- One of a merchant runs at a time.
CREATE UNIQUE INDEX handovers_running ON handovers (merchant_id) WHERE state IN ('proposed', 'cooling');
CREATE INDEX handovers_due ON handovers (due_at, id) WHERE state IN ('proposed', 'cooling');
CREATE INDEX handovers_remind ON handovers (remind_at, id) WHERE remind_at > 0;

-- The code with which an owner or manager lets one of his staff in again: one of a person.
CREATE TABLE shop_codes (user_id text PRIMARY KEY REFERENCES users (id), by_user text NOT NULL, mac bytea NOT NULL, expires_at bigint NOT NULL);
CREATE INDEX shop_codes_by ON shop_codes (by_user);
