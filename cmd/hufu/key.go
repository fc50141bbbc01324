package main

import (
	"fmt"

	"hufu/idp/server"
)

type keyCmd struct {
	New keyNewCmd `cmd:"" help:"Make a key file with mode 0600; an existing file is left alone."`
}

type keyNewCmd struct {
	File string `arg:"" help:"File to make."`
}

func (c keyNewCmd) Run(a *app) error {
	if err := server.NewKeyFile(c.File); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "made %s; keep a copy apart from the database's backups\n", c.File)
	return err
}
