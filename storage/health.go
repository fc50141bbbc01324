package storage

import (
	"context"
	"errors"
	"time"

	"hufu/idp/seal"
)

// Replica is a program that serves this database.
type Replica struct {
	ID, Host, Version string
	StartedAt, SeenAt time.Time
}

type replicaRow struct {
	ID, Host, Version string
	StartedAt, SeenAt int64
}

// Beat notes that a replica lives, and forgets those that were not seen for a week.
func (s *Store) Beat(ctx context.Context, r Replica) error {
	return s.Tx(ctx, func(ctx context.Context) error {
		return errors.Join(
			s.exec(ctx, `INSERT INTO replicas (id, host, version, started_at, seen_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at`,
				r.ID, r.Host, r.Version, micros(r.StartedAt), micros(r.SeenAt)),
			s.exec(ctx, "DELETE FROM replicas WHERE seen_at < ?", micros(r.SeenAt.Add(-7*24*time.Hour))))
	})
}

// Replicas lists those that were seen since a time, the youngest first.
func (s *Store) Replicas(ctx context.Context, since time.Time) ([]Replica, error) {
	var rows []replicaRow
	if err := s.db(ctx).Raw("SELECT * FROM replicas WHERE seen_at >= ? ORDER BY started_at DESC, id LIMIT 100", micros(since)).Scan(&rows).Error; err != nil {
		return nil, err
	}
	return mapRows(rows, func(r replicaRow) (Replica, error) {
		return Replica{ID: r.ID, Host: r.Host, Version: r.Version, StartedAt: fromMicros(r.StartedAt), SeenAt: fromMicros(r.SeenAt)}, nil
	})
}

// JobRun is how a background job went last on one replica. Why it failed is in the log alone.
type JobRun struct {
	Name, Replica string
	At            time.Time
	Took          time.Duration
	Failed        bool
}

// JobRan notes a run of a background job, and forgets runs of a month ago.
func (s *Store) JobRan(ctx context.Context, j JobRun) error {
	return s.Tx(ctx, func(ctx context.Context) error {
		return errors.Join(
			s.exec(ctx, `INSERT INTO job_runs (name, replica, at, took, failed) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT (name, replica) DO UPDATE SET at = excluded.at, took = excluded.took, failed = excluded.failed`,
				j.Name, j.Replica, micros(j.At), j.Took.Microseconds(), j.Failed),
			s.exec(ctx, "DELETE FROM job_runs WHERE at < ?", micros(j.At.Add(-30*24*time.Hour))))
	})
}

// Turn gives one replica the next turn of a job that all of them share, after a pause, and says
// when the one before was: so far all is done. false: it is too soon, or another was faster.
func (s *Store) Turn(ctx context.Context, name string, pause time.Duration, now time.Time) (last time.Time, ok bool, err error) {
	var row struct{ At int64 }
	if err := s.db(ctx).Raw("SELECT at FROM job_runs WHERE name = ? AND replica = ''", name).Scan(&row).Error; err != nil {
		return last, false, err
	}
	if last = fromMicros(row.At); now.Sub(last) < pause {
		return last, false, nil
	}
	n, err := s.affected(ctx, `INSERT INTO job_runs (name, replica, at, took, failed) VALUES (?, '', ?, 0, ?)
		ON CONFLICT (name, replica) DO UPDATE SET at = excluded.at WHERE job_runs.at = ?`, name, micros(now), false, row.At)
	return last, n == 1, err
}

// JobRuns lists the newest run of each job, by its name; turns are no runs.
func (s *Store) JobRuns(ctx context.Context) ([]JobRun, error) {
	var rows []struct {
		Name, Replica string
		At, Took      int64
		Failed        bool
	}
	err := s.db(ctx).Raw("SELECT * FROM job_runs j WHERE replica <> '' AND NOT EXISTS (SELECT 1 FROM job_runs k WHERE k.name = j.name AND k.replica <> '' AND (k.at > j.at OR k.at = j.at AND k.replica > j.replica)) ORDER BY name").Scan(&rows).Error
	var out []JobRun
	for _, r := range rows {
		out = append(out, JobRun{Name: r.Name, Replica: r.Replica, At: fromMicros(r.At), Took: time.Duration(r.Took) * time.Microsecond, Failed: r.Failed})
	}
	return out, err
}

// RingHolds says whether the key ring opens what this database was sealed with, and how
// many sealing keys it holds.
func (s *Store) RingHolds(ctx context.Context) (holds bool, keys int, err error) {
	var row struct{ Sealed []byte }
	if err := s.db(ctx).Raw("SELECT sealed FROM ring_check WHERE id = 1").Scan(&row).Error; err != nil {
		return false, 0, err
	}
	text, oerr := s.ring.Open(seal.Place{Table: "ring_check", Column: "sealed", Row: "1"}, row.Sealed)
	return oerr == nil && string(text) == ringText, s.ring.Len(), nil
}
