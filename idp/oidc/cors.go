package oidc

import (
	"net/http"
	"slices"
)

// cors lets the pages of clients call an endpoint from a browser: exactly the
// origins of registered redirect URIs, never any other, never with cookies.
func (p *Provider) cors(next http.Handler, methods string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		if from := r.Header.Get("Origin"); from != "" && p.clientOrigin(r, from) {
			h.Set("Access-Control-Allow-Origin", from)
			h.Set("Cross-Origin-Resource-Policy", "cross-origin")
			h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After")
			if r.Method == http.MethodOptions {
				h.Set("Access-Control-Allow-Methods", methods)
				h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP")
				h.Set("Access-Control-Max-Age", "600")
			}
		}
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// clientOrigin says whether an Origin header is that of a live client's page. An
// error means no.
func (p *Provider) clientOrigin(r *http.Request, from string) bool {
	if origin(from) != from {
		return false
	}
	clients, err := p.Store.Clients(r.Context())
	if err != nil {
		return false
	}
	for _, c := range clients {
		if !c.Disabled && slices.ContainsFunc(c.Redirects, func(uri string) bool { return origin(uri) == from }) {
			return true
		}
	}
	return false
}
