package oidc

import (
	"net/http"

	"hufu/idp"
)

const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
	grantClient  = "client_credentials"
	grantDevice  = "urn:ietf:params:oauth:grant-type:device_code"
)

// grants are all grant types of the token endpoint; a test flips the state of every
// party for each of them.
var grants = []string{grantCode, grantRefresh, grantClient, grantDevice}

// discovery is the metadata of OpenID Connect Discovery 1.0 section 3 and RFC 8414.
// Every address is made from the configured issuer, never from the request.
func (p *Provider) discovery(w http.ResponseWriter, r *http.Request) error {
	if err := method(w, r, http.MethodGet, http.MethodHead); err != nil {
		return err
	}
	at := func(path string) string { return p.Issuer + path }
	auth := []string{"client_secret_basic", "client_secret_post", "none"}
	secret := auth[:2]
	p.document(w, map[string]any{
		"issuer":                                         p.Issuer,
		"authorization_endpoint":                         at("/authorize"),
		"token_endpoint":                                 at("/token"),
		"userinfo_endpoint":                              at("/userinfo"),
		"jwks_uri":                                       at("/jwks"),
		"end_session_endpoint":                           at("/logout"),
		"introspection_endpoint":                         at("/introspect"),
		"revocation_endpoint":                            at("/revoke"),
		"device_authorization_endpoint":                  at("/device_authorization"),
		"pushed_authorization_request_endpoint":          at("/par"),
		"terminal_notices_endpoint":                      at("/terminal/notices"),
		"require_pushed_authorization_requests":          false,
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          grants,
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"ES256", "RS256"},
		"token_endpoint_auth_methods_supported":          auth,
		"revocation_endpoint_auth_methods_supported":     auth,
		"introspection_endpoint_auth_methods_supported":  secret,
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
		"dpop_signing_alg_values_supported":              proofAlgs,
		"claims_parameter_supported":                     false,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
		"prompt_values_supported":                        prompts,
		"acr_values_supported":                           []string{idp.ACR1.String(), idp.ACR2.String(), idp.ACRPhr.String(), idp.ACRPhrh.String()},
		"ui_locales_supported":                           []string{"zh-CN", "en"},
		"scopes_supported":                               []string{"openid", "profile", "phone", "email", "offline_access", "merchant", "terminal", "payments:read", "payments:refund", "settlement:manage"},
		"claims_supported": []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash", "name", "preferred_username", "locale",
			"updated_at", "phone_number", "phone_number_verified", "email", "email_verified", "merchant_id", "merchant_no", "store_id", "role", "terminal_id"},
	})
	return nil
}

// document writes public JSON that may be kept for a short while.
func (p *Provider) document(w http.ResponseWriter, v any) {
	w.Header().Del("Pragma")
	w.Header().Set("Cache-Control", "public, max-age=300")
	writeJSON(w, http.StatusOK, v)
}
