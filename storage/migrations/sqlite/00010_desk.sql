-- +goose Up

-- The support desk. Who works on a case, since when it waits for an approval, how it was decided and by whom.
ALTER TABLE cases ADD COLUMN assigned text NOT NULL DEFAULT '';
ALTER TABLE cases ADD COLUMN ready_at bigint NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN outcome text NOT NULL DEFAULT '';
ALTER TABLE cases ADD COLUMN decided_by text NOT NULL DEFAULT '';
-- One of a person is open at a time.
CREATE UNIQUE INDEX cases_one ON cases (user_id) WHERE state = 'open' AND kind IN ('recovery', 'staff');
CREATE INDEX cases_ready ON cases (ready_at) WHERE state = 'open' AND ready_at > 0;
CREATE INDEX cases_assigned ON cases (assigned, id) WHERE state = 'open';

-- What an agent compared for a case: whether it matched and who did it, never the value. try counts from 1.
CREATE TABLE case_evidence (
  case_id text NOT NULL, field text NOT NULL, try integer NOT NULL, matched boolean NOT NULL, by_user text NOT NULL, at bigint NOT NULL, PRIMARY KEY (case_id, field, try));

-- Calls with a two-way code. hash is of the caller's digits; caller and half, sealed, are what each reads out.
CREATE TABLE calls (
  id text PRIMARY KEY, case_id text NOT NULL, user_id text NOT NULL, agent text NOT NULL, state text NOT NULL, hash blob NOT NULL, caller blob NOT NULL, half blob NOT NULL,
  wrong integer NOT NULL, started_at bigint NOT NULL, until bigint NOT NULL);
CREATE INDEX calls_case ON calls (case_id, id);
CREATE INDEX calls_user ON calls (user_id, until);
CREATE INDEX calls_until ON calls (until);
