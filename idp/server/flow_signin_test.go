package server_test

import (
	"testing"
	"time"
)

func TestTry(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		b := w.from(t, "203.0.113.7")
		b.open("/sign-in").see(200, "登录").signIn("owner").see(200, "林薇")
		time.Sleep(3 * time.Hour)
		b.open("/account").see(200, "林薇")
		time.Sleep(30 * time.Hour)
		b.open("/account").see(200, "登录")
	})
}
