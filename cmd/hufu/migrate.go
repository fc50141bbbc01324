package main

import (
	"errors"
	"fmt"

	"hufu/idp/server"
	"hufu/storage"
)

type migrateCmd struct{}

func (migrateCmd) Run(a *app) error {
	return a.withStore(func(server.Config, *storage.Store) error {
		_, err := fmt.Fprintln(a.stdout, "the database has this version's schema")
		return err
	})
}

// withStore opens the configured database, brings its schema up to date and closes
// it afterwards.
func (a *app) withStore(do func(cfg server.Config, store *storage.Store) error) (err error) {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	ring, err := cfg.Ring()
	if err != nil {
		return err
	}
	store, err := storage.Open(a.ctx, cfg.Database.DSN.Reveal(), ring, newLogger(cfg.Log, a.stderr))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := store.Migrate(a.ctx); err != nil {
		return err
	}
	return do(cfg, store)
}
