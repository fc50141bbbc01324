-- +goose Up

-- Hashes of passwords that a person had, sealed; at is when another took its place.
CREATE TABLE password_history (id text PRIMARY KEY, user_id text NOT NULL REFERENCES users (id), hash bytea NOT NULL, at bigint NOT NULL);
CREATE INDEX password_history_user ON password_history (user_id, at, id);
