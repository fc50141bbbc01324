package server

import (
	"context"
	"os"
	"runtime/debug"
	"time"

	"hufu/idp"
	"hufu/storage"
)

// beatPause is how often a replica that is asked anything says that it lives (whoever asks
// whether it is ready asks); the page of health calls one silent after three.
const beatPause = time.Minute

// Version is the module's version, or the commit that was built.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// newReplica names this process, for the page of health.
func newReplica() storage.Replica {
	host, _ := os.Hostname() // without a name it is told by its id
	return storage.Replica{ID: idp.NewID(), Host: host, Version: Version(), StartedAt: time.Now()}
}

// beat says that this replica lives.
func (s *Server) beat(ctx context.Context) error {
	own := s.replica
	own.SeenAt = time.Now()
	return s.Store.Beat(ctx, own)
}

// note does a background job once and keeps how it went.
func (s *Server) note(ctx context.Context, name string, job func() error) {
	begun := time.Now()
	err := job()
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.log.Warn(name+" failed", "error", err)
	}
	run := storage.JobRun{Name: name, Replica: s.replica.ID, At: begun, Took: time.Since(begun), Failed: err != nil}
	if err := s.Store.JobRan(ctx, run); err != nil && ctx.Err() == nil {
		s.log.Warn("run of a job not kept", "job", name, "error", err)
	}
}
