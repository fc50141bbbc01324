-- +goose Up

-- Acts that another person than their author approves, with what they are asked with, sealed; and a secret that
-- one made, sealed, until its author collects it. One of a kind waits for one thing.
CREATE TABLE approvals (
  id text PRIMARY KEY, act text NOT NULL, object text NOT NULL, merchant text NOT NULL, asked blob NOT NULL, reason text NOT NULL, asked_by text NOT NULL, asked_at bigint NOT NULL,
  expires_at bigint NOT NULL, state text NOT NULL, decided_by text NOT NULL, decided_at bigint NOT NULL, decision text NOT NULL, failure text NOT NULL, secret blob, secret_until bigint NOT NULL);
CREATE UNIQUE INDEX approvals_waiting ON approvals (act, object) WHERE state = 'asked' AND object <> '';
CREATE INDEX approvals_open ON approvals (expires_at) WHERE state = 'asked';
CREATE INDEX approvals_secrets ON approvals (secret_until) WHERE secret_until > 0;

-- Since when a merchant is closed: its owner may still take his data with him for a while.
ALTER TABLE merchants ADD COLUMN closed_at bigint NOT NULL DEFAULT 0;
