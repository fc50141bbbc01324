package main

import (
	"errors"
	"fmt"

	"hufu/storage"
)

type migrateCmd struct{}

func (migrateCmd) Run(a *app) (err error) {
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
	_, err = fmt.Fprintln(a.stdout, "the database has this version's schema")
	return err
}
