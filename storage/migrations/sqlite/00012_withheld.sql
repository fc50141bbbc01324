-- +goose Up

-- Settlement alone is withheld until a time of its own: when that of all money scopes, withheld_until, is over, the rest of it is left.
ALTER TABLE users ADD COLUMN payee_until bigint NOT NULL DEFAULT 0;
UPDATE users SET payee_until = withheld_until WHERE withheld = 'w1';
