package server_test

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// More passwords at once than there are cores to hash them: some are served, the
// others hear at once when to come again, and nobody queues for seconds.
func TestPasswordsPastSaturation(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *demoWorld) {
		var browsers []*browser
		for range 48 {
			browsers = append(browsers, w.browser(t).open("/sign-in").submit("identifier", w.Users["cashier"].Username).see(200, "密码"))
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		seen := map[int]int{}
		slowest := time.Duration(0)
		for _, b := range browsers {
			wg.Go(func() {
				start := time.Now()
				res := b.once(http.MethodPost, b.URL.Path, map[string][]string{"password": {w.Users["cashier"].Password}})
				mu.Lock()
				defer mu.Unlock()
				seen[res.StatusCode]++
				slowest = max(slowest, time.Since(start))
				if res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			})
		}
		wg.Wait()
		t.Logf("answers %v, the slowest after %v", seen, slowest)
		if seen[http.StatusSeeOther] == 0 || seen[http.StatusSeeOther]+seen[http.StatusServiceUnavailable] != len(browsers) {
			t.Errorf("answers %v", seen)
		}
		if slowest > 15*time.Second { // on a machine that runs many tests at once
			t.Errorf("somebody waited %v", slowest)
		}
	})
}
