package server_test

import (
	"testing"
	"time"
)

// A server says that it lives, and how its background jobs went.
func TestServerIsHeard(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		s := w.Service.Store
		for limit := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			replicas, err := s.Replicas(t.Context(), time.Now().Add(-time.Minute))
			must(t, err)
			jobs, err := s.JobRuns(t.Context())
			must(t, err)
			if len(replicas) == 1 && len(jobs) == 5 {
				for _, j := range jobs {
					if j.Failed || j.Replica != replicas[0].ID || time.Since(j.At) > time.Minute {
						t.Errorf("%+v of %+v", j, replicas[0])
					}
				}
				if replicas[0].Version == "" || replicas[0].StartedAt.After(replicas[0].SeenAt) {
					t.Errorf("%+v", replicas[0])
				}
				return
			}
			if time.Now().After(limit) {
				t.Fatalf("%+v, %+v", replicas, jobs)
			}
		}
	})
}
