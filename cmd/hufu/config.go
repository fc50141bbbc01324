package main

import "fmt"

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Print ok, or everything that is wrong with the configuration."`
}

type configCheckCmd struct{}

func (configCheckCmd) Run(a *app) error {
	if _, err := a.config(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.stdout, "ok")
	return err
}
