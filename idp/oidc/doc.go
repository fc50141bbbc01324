// Package oidc is the OAuth 2 and OpenID Connect provider: one file an RFC, on
// fosite, which nothing else imports.
//
// Routes: /.well-known/openid-configuration, /.well-known/oauth-authorization-server,
// /jwks, /authorize, /par, /token, /userinfo, /introspect, /revoke,
// /device_authorization, /logout, and for terminals /terminal/notices.
//
// Invariants:
//   - A browser is sent to a redirect URI only after that URI was found, letter for
//     letter, among those of a live client.
//   - No token leaves without [Provider.redeem], in the transaction that uses up what
//     it is issued for.
//   - Everything that is redeemed is used up by one conditional statement whose row
//     count is looked at; a second use ends the family.
//   - A signature is verified with the key and the algorithm that we registered, never
//     with what a token says of itself.
//   - Every error goes through one mapping ([classify]); its inner text stays here.
//   - Shown = granted = issued: scopes are fixed when a request is made and only shrink.
//
// It calls neither flows nor the console: what a person still has to prove is an
// [idp.Demand] that it stores, and it looks again when the browser is back.
package oidc
