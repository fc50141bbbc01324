package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Config is the command line.
type Config struct {
	Addr    string            `default:"localhost:8082" help:"Address to listen on."`
	Issuer  string            `help:"Issuer of the provider (default: from the demo file, else http://localhost:8080)."`
	Serials map[string]string `mapsep:"," help:"Serial numbers, as esign=…,traditional=…,smart=… (default: from the demo file)."`
	Demo    string            `default:"data/demo.json" help:"File of the demonstration world; waited for when it is needed."`
	Keys    string            `default:"data/terminal-keys.json" help:"File that keeps the terminals' keys."`
	Cli     bool              `help:"Play one terminal on the command line."`
	Serial  string            `help:"With -cli: its serial number (default: the smart one of the demo file)."`
	Lang    string            `default:"zh-CN" enum:"zh-CN,en" help:"With -cli: language, zh-CN or en."`
}

var kinds = []string{"esign", "traditional", "smart"}

const defaultIssuer = "http://localhost:8080"

// run parses args, then serves or plays until ctx ends.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	var c Config
	parser, err := kong.New(&c, kong.Name("terminal"), kong.Writers(stdout, stdout),
		kong.Description("Terminal simulator: signs terminals in with the device flow, as a web page or on the command line."))
	if err != nil {
		return err
	}
	if asksForHelp(args) {
		return help(parser)
	}
	if _, err := parser.Parse(dashes(args)); err != nil {
		return err
	}
	for kind := range c.Serials {
		if !slices.Contains(kinds, kind) {
			return fmt.Errorf("-serials: unknown kind %q; there are %s", kind, strings.Join(kinds, ", "))
		}
	}
	log := slog.New(slog.NewTextHandler(stdout, nil))
	if c.Cli {
		return play(ctx, c, log, stdout)
	}
	l, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return err
	}
	bench := NewBench(ctx, log)
	go bench.prepare(ctx, c)
	fmt.Fprintf(stdout, "terminal: http://localhost:%d\n", l.Addr().(*net.TCPAddr).Port)
	return serve(ctx, l, bench.Handler())
}

// serve answers until ctx ends, then lets requests in flight finish.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 45 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(last); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// world is what a terminal has to know: who signs it in, and its own serial number.
type world struct {
	issuer  string
	serials map[string]string // by kind
}

// find fills the world from the flags, and from the demo file where they leave something out.
func (c Config) find(ctx context.Context) (world, error) {
	w := world{issuer: c.Issuer, serials: c.Serials}
	if c.Cli && c.Serial != "" {
		w.serials = map[string]string{"smart": c.Serial}
	}
	if len(w.serials) == 0 {
		demo, err := waitForDemo(ctx, c.Demo)
		if err != nil {
			return world{}, err
		}
		w = world{issuer: cmp.Or(c.Issuer, demo.issuer), serials: demo.serials}
	}
	w.issuer = strings.TrimSuffix(cmp.Or(w.issuer, defaultIssuer), "/")
	return w, nil
}

// waitForDemo reads the demo file as soon as it is there and whole.
func waitForDemo(ctx context.Context, path string) (world, error) {
	for {
		w, err := readDemo(path)
		if err == nil {
			return w, nil
		}
		select {
		case <-ctx.Done():
			return world{}, fmt.Errorf("%w while waiting for %s: %w", ctx.Err(), path, err)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func readDemo(path string) (world, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return world{}, err
	}
	var demo struct {
		Issuer    string                             `json:"issuer"`
		Terminals map[string]struct{ Serial string } `json:"terminals"`
	}
	if err := json.Unmarshal(b, &demo); err != nil {
		return world{}, fmt.Errorf("%s: %w", path, err)
	}
	w := world{issuer: demo.Issuer, serials: map[string]string{}}
	for _, kind := range kinds {
		if s := demo.Terminals[kind].Serial; s != "" {
			w.serials[kind] = s
		}
	}
	if len(w.serials) == 0 {
		return world{}, fmt.Errorf("%s names no terminal", path)
	}
	return w, nil
}

// dashes lets -issuer stand for --issuer, as Go's own flags do: there are no one-letter flags to confuse it with.
func dashes(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if len(a) > 2 && a[0] == '-' && a[1] != '-' {
			a = "-" + a
		}
		out[i] = a
	}
	return out
}

func asksForHelp(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool { return a == "-h" || a == "-help" || a == "--help" })
}

// help prints the flags without kong's way of leaving the process, which would take a test with it.
func help(parser *kong.Kong) error {
	ctx, err := kong.Trace(parser, nil)
	if err != nil {
		return err
	}
	return ctx.PrintUsage(false)
}
