-- +goose Up

-- Thumbprint of the key of a terminal, of the device that asks, and of what a grant's tokens are bound to; '' for none.
ALTER TABLE terminals ADD COLUMN key_jkt text NOT NULL DEFAULT '';
ALTER TABLE terminals ADD COLUMN key_at bigint NOT NULL DEFAULT 0;
ALTER TABLE device_requests ADD COLUMN key_jkt text NOT NULL DEFAULT '';
ALTER TABLE device_requests ADD COLUMN software text NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN key_jkt text NOT NULL DEFAULT '';
-- One key stands for one terminal.
CREATE UNIQUE INDEX terminals_key ON terminals (key_jkt) WHERE key_jkt <> '' AND state <> 'retired';

-- Proofs of possession that were shown, as keyed hashes of key and id: each counts once while it could be shown again.
CREATE TABLE shown_proofs (hash blob PRIMARY KEY, until bigint NOT NULL);
CREATE INDEX shown_proofs_until ON shown_proofs (until);

-- What the screens and slips of a merchant's terminals say, of one terminal or ('') of all. params is sealed; digits is a keyed hash.
CREATE TABLE terminal_notices (
  id text PRIMARY KEY, merchant_id text NOT NULL REFERENCES merchants (id), terminal_id text NOT NULL, user_id text NOT NULL, kind text NOT NULL, params blob NOT NULL,
  digits blob NOT NULL, created_at bigint NOT NULL, until bigint NOT NULL, seen_at bigint NOT NULL, answered_at bigint NOT NULL, answered_by text NOT NULL, answer text NOT NULL);
CREATE INDEX terminal_notices_merchant ON terminal_notices (merchant_id, id);
CREATE INDEX terminal_notices_until ON terminal_notices (until);
