-- +goose Up

-- Editions of the policy document, kept for ever. At most one is in force; a version is given once.
CREATE TABLE editions (
  id text PRIMARY KEY, version bigint NOT NULL, base bigint NOT NULL, revision bigint NOT NULL, title text NOT NULL, document text NOT NULL, state text NOT NULL,
  author text NOT NULL, created_at bigint NOT NULL, changed_at bigint NOT NULL, reason text NOT NULL, submitted_at bigint NOT NULL, decided_by text NOT NULL,
  decided_at bigint NOT NULL, emergency boolean NOT NULL, percent integer NOT NULL, merchants text NOT NULL, activate_at bigint NOT NULL, activated_at bigint NOT NULL, ended_at bigint NOT NULL);
CREATE UNIQUE INDEX editions_version ON editions (version) WHERE version > 0;
CREATE UNIQUE INDEX editions_active ON editions (state) WHERE state = 'active';
CREATE INDEX editions_due ON editions (activate_at) WHERE state = 'approved';
INSERT INTO versions (name, value) VALUES ('policy', 1);

-- What the password fulfilled when it was set, sealed: so that a simulation can tell who must change it.
ALTER TABLE credentials ADD COLUMN measures blob;
-- Under which version it was looked at last, and since when it has not fulfilled the rules.
ALTER TABLE credentials ADD COLUMN measured_by bigint NOT NULL DEFAULT 0;
ALTER TABLE credentials ADD COLUMN weak_since bigint NOT NULL DEFAULT 0;

-- Runs of an edition against everybody, and whom each would touch.
CREATE TABLE simulations (
  id text PRIMARY KEY, edition_id text NOT NULL REFERENCES editions (id), revision bigint NOT NULL, started_by text NOT NULL, state text NOT NULL, done bigint NOT NULL, total bigint NOT NULL,
  after text NOT NULL, result text NOT NULL, started_at bigint NOT NULL, changed_at bigint NOT NULL, lease_until bigint NOT NULL);
CREATE INDEX simulations_edition ON simulations (edition_id, id);
CREATE INDEX simulations_open ON simulations (lease_until) WHERE state IN ('queued', 'running');
CREATE TABLE simulation_people (
  simulation_id text NOT NULL REFERENCES simulations (id), user_id text NOT NULL, role text NOT NULL, tier text NOT NULL, effects bigint NOT NULL, PRIMARY KEY (simulation_id, user_id));
