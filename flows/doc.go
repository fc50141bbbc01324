// Package flows is the flow engine and the flows that people walk: sign in, prove
// more, bind an authenticator, allow an application, accept an invitation, approve
// a terminal, look at one's account, get back in, stop and freeze, open a recovery kit.
//
// Routes: /flows/{flow}[/{step}[/resend]], /sign-in, /sign-out, /lang, /join,
// /device, /account, /recover, /stop, /undo, /kit.
//
// Invariants: a flow works only in the browser that it was opened in; the current
// step is derived from persisted facts; a step's change is saved on an unchanged
// version, so of two parallel requests one wins and the other decides nothing;
// every guess at a secret goes through [Engine.guess]; [Engine.complete] is the one
// place where a session begins or gains proofs; [Engine.freeze] is the one where an account is
// frozen. The package never imports the OAuth
// endpoints or the console: they meet through stored demands.
package flows
