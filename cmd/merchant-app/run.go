package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Config is the command line.
type Config struct {
	Addr         string   `default:"localhost:8081" help:"Address to listen on."`
	Issuer       string   `default:"http://localhost:8080" help:"Issuer of the provider; everything else is discovered."`
	URL          string   `help:"Address of this app as browsers see it (default: http://localhost and the port of -addr)."`
	ClientID     string   `help:"Client identifier (default merchant-app, or merchant-web with a secret)."`
	ClientSecret string   `env:"MERCHANT_APP_CLIENT_SECRET" help:"Client secret; makes this the confidential client."`
	Audience     []string `default:"merchant-app" help:"Audiences the takings resource answers to, besides the client identifier."`
	Acr          string   `help:"Authentication level the takings resource demands, such as urn:hufu:acr:2 (RFC 9470); none by default."`
}

// run parses args, serves until ctx ends, and says on stdout where it listens.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	var c Config
	parser, err := kong.New(&c, kong.Name("merchant-app"), kong.Writers(stdout, stdout),
		kong.Description("Sample relying party: sign in, see the claims, call a protected resource, sign out."))
	if err != nil {
		return err
	}
	if asksForHelp(args) {
		return help(parser)
	}
	if _, err := parser.Parse(dashes(args)); err != nil {
		return err
	}
	if c.Acr != "" && assurance[c.Acr] == 0 {
		return fmt.Errorf("-acr: unknown level %q", c.Acr)
	}
	l, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return err
	}
	c.Issuer = strings.TrimSuffix(c.Issuer, "/")
	c.URL = strings.TrimSuffix(cmp.Or(c.URL, fmt.Sprintf("http://localhost:%d", l.Addr().(*net.TCPAddr).Port)), "/")
	if c.ClientID == "" {
		c.ClientID = "merchant-app"
		if c.ClientSecret != "" {
			c.ClientID = "merchant-web"
		}
	}
	app := NewApp(c, slog.New(slog.NewTextHandler(stdout, nil)))
	go app.connect(ctx)
	fmt.Fprintf(stdout, "merchant-app: %s\n", c.URL)
	return serve(ctx, l, app.Handler())
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
	for _, a := range args {
		if a == "-h" || a == "-help" || a == "--help" {
			return true
		}
	}
	return false
}

// help prints the flags without kong's way of leaving the process, which would take a test with it.
func help(parser *kong.Kong) error {
	ctx, err := kong.Trace(parser, nil)
	if err != nil {
		return err
	}
	return ctx.PrintUsage(false)
}
