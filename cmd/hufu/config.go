package main

import "fmt"

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Print ok, or everything that is wrong with the configuration."`
}

type configCheckCmd struct{}

func (configCheckCmd) Run(a *app) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	if ps := c.FileProblems(); len(ps) > 0 {
		return ps
	}
	_, err = fmt.Fprintln(a.stdout, "ok")
	return err
}
