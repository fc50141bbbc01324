package server_test

import (
	"testing"
)

// The shop owner, the cashier and the administrator each sign in and come to their
// own pages.
func TestEveryoneSignsIn(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		for who, words := range map[string]string{"owner": "林薇", "cashier": "陈小燕", "auditor": "概览", "policy_admin": "概览"} {
			b := w.browser(t)
			b.open("/sign-in").see(200, "登录").signIn(who)
			b.see(200, words)
		}
	})
}
