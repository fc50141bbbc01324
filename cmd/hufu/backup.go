package main

import (
	"fmt"

	"hufu/idp/server"
	"hufu/storage"
)

type backupCmd struct {
	File string `arg:"" help:"File to make; an existing one is left alone."`
}

func (c backupCmd) Run(a *app) error {
	return a.withStore(func(_ server.Config, store *storage.Store) error {
		if err := store.Copy(a.ctx, c.File); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.stdout, "made %s; it is of no use without the key file, which is kept apart from it\n", c.File)
		return err
	})
}
