-- +goose Up

-- When a link that works once was used: until it is too old it is told from one that never was.
ALTER TABLE links ADD COLUMN used_at bigint NOT NULL DEFAULT 0;
