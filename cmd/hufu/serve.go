package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"hufu/idp/server"
)

// shutdownGrace is how long requests under way may take to end after the signal to stop.
const shutdownGrace = 20 * time.Second

type serveCmd struct{}

func (serveCmd) Run(a *app) (err error) {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	log := newLogger(cfg.Log, a.stderr)
	tlsConfig, err := cfg.TLS.ServerConfig(log)
	if err != nil {
		return err
	}
	service, err := server.New(a.ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, service.Close()) }()
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	log.Info("serving", "address", listener.Addr().String(), "issuer", cfg.Issuer, "version", server.Version())
	return serveHTTP(a.ctx, listener, service.Handler(), tlsConfig, log, shutdownGrace)
}

// serveHTTP serves until ctx is done, then accepts nothing new and lets requests under way end, for at most grace.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, tlsConfig *tls.Config, log *slog.Logger, grace time.Duration) error {
	// Requests must outlive the signal that ends ctx.
	requests := context.WithoutCancel(ctx)
	s := &http.Server{
		Handler:           h,
		TLSConfig:         tlsConfig,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return requests },
	}
	ended := make(chan error, 1)
	go func() {
		if tlsConfig != nil {
			ended <- s.ServeTLS(l, "", "")
		} else {
			ended <- s.Serve(l)
		}
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	log.Info("stopping: requests under way may end", "at_most", grace)
	limited, cancel := context.WithTimeout(requests, grace)
	defer cancel()
	if err := s.Shutdown(limited); err != nil {
		return errors.Join(fmt.Errorf("stop: requests were cut off: %w", err), s.Close())
	}
	log.Info("stopped")
	return nil
}

func newLogger(c server.LogConfig, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
