// Command merchant-app is a sample relying party: the merchant app of a card acquirer, written as any user of the
// provider would write it, with golang.org/x/oauth2 and coreos/go-oidc and nothing of the provider's own code.
//
// It signs people in with the authorization code flow, PKCE S256, state and nonce, checks the issuer of every answer
// (RFC 9207), shows what it received in plain words, calls a protected resource, refreshes and signs out. The
// resource, GET /api/takings, lives in the same process and trusts only what the token says: it verifies RFC 9068
// access tokens through the provider's key set.
//
// Routes: / · POST /sign-in · /callback · POST /refresh · POST /takings · POST /sign-out · /api/takings · /healthz.
//
// Tokens stay on the server, in memory; the browser holds one random cookie. Every POST is refused across origins.
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
		fmt.Fprintln(os.Stderr, "merchant-app:", err)
		os.Exit(1)
	}
}
