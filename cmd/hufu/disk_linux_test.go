package main

import (
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"hufu/storage"
	"hufu/storage/storagetest"
)

// limitFiles bounds how large the files of a process may grow; 0 lifts the bound.
// To the process it is as if the disk were full.
func (p *process) limitFiles(most uint64) {
	p.t.Helper()
	limit := syscall.Rlimit{Cur: most, Max: ^uint64(0)}
	if most == 0 {
		limit.Cur = ^uint64(0)
	}
	if _, _, errno := syscall.Syscall6(syscall.SYS_PRLIMIT64, uintptr(p.cmd.Process.Pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0); errno != 0 {
		p.t.Fatal(errno)
	}
}

func (p *process) get(path, token string) int {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.base+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "" {
		p.t.Errorf("%s does not say when to come again", path)
	}
	return res.StatusCode
}

// While the disk is full, what must be written is 503, what is only read is served,
// and no acknowledged token is lost; with room again everything works by itself.
func TestFullDiskRefusesAndRecovers(t *testing.T) {
	p := startProcess(t, storagetest.DSN(t, storage.SQLite), t.TempDir())
	const shops = 8
	var tokens [shops]answer
	for i := range tokens {
		a, err := p.signIn()
		if err != nil {
			t.Fatal(err)
		}
		tokens[i] = a
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[int]int{}
	until := time.Now().Add(1500 * time.Millisecond)
	for i := range tokens {
		wg.Go(func() {
			for time.Now().Before(until) {
				a := p.refresh(tokens[i].Refresh)
				mu.Lock()
				seen[a.Status]++
				mu.Unlock()
				switch a.Status {
				case http.StatusOK:
					tokens[i] = a
				case http.StatusServiceUnavailable:
				default:
					t.Errorf("refresh: %+v", a)
					return
				}
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	p.limitFiles(4096)
	wg.Wait()
	if a := p.refresh(tokens[0].Refresh); a.Status != http.StatusServiceUnavailable || a.Error != "temporarily_unavailable" {
		t.Errorf("refresh on a full disk: %+v", a)
	}
	if a := p.post("/device_authorization", url.Values{"client_id": {"terminal"}, "scope": {"openid"}}); a.Status != http.StatusServiceUnavailable {
		t.Errorf("device request on a full disk: %+v", a)
	}
	for path, want := range map[string]int{"/sign-in": 503, "/userinfo": 200, "/jwks": 200, "/healthz": 200} {
		if status := p.get(path, tokens[0].Access); status != want {
			t.Errorf("%s on a full disk: %d, want %d", path, status, want)
		}
	}
	p.limitFiles(0)
	for i := range tokens {
		if a := p.refresh(tokens[i].Refresh); a.Status != http.StatusOK {
			t.Errorf("family %d with room again: %+v", i, a)
		}
	}
	if _, err := p.signIn(); err != nil {
		t.Errorf("sign-in with room again: %v", err)
	}
	t.Logf("answers: %v", seen)
	if seen[200] == 0 || seen[503] == 0 {
		t.Errorf("answers: %v", seen)
	}
}
