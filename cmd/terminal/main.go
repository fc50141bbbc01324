// Command terminal simulates the three kinds of point-of-sale terminal that sign in with the device flow (RFC 8628),
// written with golang.org/x/oauth2 and coreos/go-oidc as a terminal maker would write it, and nothing of the
// provider's own code: a payment terminal with a small screen (esign), a traditional one that prints slips, and a
// smart one with a touch screen.
//
// As a web page it draws all three: / · POST /start · POST /terminals/{kind}/{start,refresh,sign-out} ·
// POST /terminals/{kind}/notices/{id}/{stop,confirm} · /state · /terminal.js · /healthz. With -cli it plays one of them on the command line.
//
// Three things go beyond the RFC: the request carries terminal_serial and software_version, the answer carries
// match_number, two digits that the terminal shows and the person who approves has to pick, and a signed-in terminal
// shows the notices that the provider has for it. Every request proves the terminal's own key (RFC 9449), which is kept
// in a file. Tokens stay in memory and are never shown.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "terminal:", err)
		os.Exit(1)
	}
}
