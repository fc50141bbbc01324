package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// play signs one terminal in on the command line.
func play(ctx context.Context, c Config, log *slog.Logger, out io.Writer) error {
	w, err := c.find(ctx)
	if err != nil {
		return err
	}
	serial := w.serials["smart"]
	if serial == "" {
		serial = w.serials[slices.Sorted(maps.Keys(w.serials))[0]]
	}
	client := &http.Client{Timeout: 15 * time.Second}
	p, err := connect(ctx, client, w.issuer, func(err error) { fmt.Fprintf(out, "%s (%v)\n", T(c.Lang, "waiting.title"), err) })
	if err != nil {
		return err
	}
	keys, err := openKeys(c.Keys)
	if err != nil {
		return err
	}
	key, err := keys.of(serial)
	if err != nil {
		return err
	}
	return playWith(ctx, p.as(key), c, serial, log, out)
}

// playWith goes the way of one device authorization from the code to the claims.
func playWith(ctx context.Context, p *provider, c Config, serial string, log *slog.Logger, out io.Writer) error {
	asked, err := p.ask(ctx, serial)
	if err != nil {
		return errors.New(sentence(c.Lang, Status{State: Failed, Code: errorCode(err)}) + " (" + err.Error() + ")")
	}
	if err := announce(out, c.Lang, serial, asked); err != nil {
		return err
	}
	token, err := p.wait(ctx, log, asked)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var who *identity
	if err == nil {
		who, err = p.read(ctx, token)
	}
	if err != nil {
		return errors.New(sentence(c.Lang, outcome(nil, err)))
	}
	fmt.Fprintf(out, "\n%s\n\n", sentence(c.Lang, Status{State: SignedIn, Who: who}))
	for _, s := range [][]row{who.id.rows(c.Lang), who.access.rows(c.Lang)} {
		for _, r := range s {
			fmt.Fprintf(out, "  %-20s %s%s\n", printable(r.Name), printable(r.Value), bracket(r.Words))
		}
		fmt.Fprintln(out)
	}
	return nil
}

// announce prints what the person with the phone needs.
func announce(out io.Writer, lang, serial string, asked request) error {
	code, err := draw(asked.VerificationURIComplete)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s\n\n%s\n", T(lang, "cli.title", printable(serial)), code.Text(colours(out)))
	fmt.Fprintf(out, "%s  %s\n", T(lang, "cli.open"), printable(asked.VerificationURI))
	fmt.Fprintf(out, "%s  %s\n", T(lang, "cli.code"), printable(asked.UserCode))
	if asked.match > 0 {
		fmt.Fprintf(out, "%s  %d\n", T(lang, "cli.match"), asked.match)
	}
	fmt.Fprintf(out, "%s\n", T(lang, "valid.until", clock(asked.Expiry)))
	return nil
}

// sentence says a state in words.
func sentence(lang string, s Status) string {
	switch s.State {
	case SignedIn:
		return T(lang, "state.signed-in", printable(s.Who.name()))
	case Failed:
		if known := maybe(lang, "failed."+s.Code); known != "" {
			return known
		}
	}
	return T(lang, "state."+string(s.State))
}

func bracket(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

// printable drops control characters: what others sent must not steer the screen it is shown on.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return -1
		}
		return r
	}, s)
}

// colours reports whether out is a screen rather than a file or a pipe.
func colours(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
