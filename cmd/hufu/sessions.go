package main

import (
	"errors"
	"fmt"

	"hufu/idp/manage"
)

type sessionsCmd struct {
	End sessionsEndCmd `cmd:"" help:"Sign everybody out everywhere, as after a restore from a backup: all sessions, apps, terminals and trusted browsers."`
}

type sessionsEndCmd struct {
	All    bool   `required:"" help:"Everybody's."`
	Reason string `required:"" help:"Why; the log keeps it."`
}

func (c sessionsEndCmd) Run(a *app) error {
	if !c.All {
		return errors.New("one person's sessions end in the console; here --all is needed")
	}
	return a.manage(func(m *manage.Manager) error {
		n, err := m.EndEverything(a.ctx, c.Reason)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "signed out everywhere: %d people\n", n)
		return err
	})
}
