package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestServeFromStartToSignal runs the command itself in the demonstration world, which makes what it needs.
func TestServeFromStartToSignal(t *testing.T) {
	ctx, signal := context.WithCancel(t.Context())
	defer signal()
	logs, stderr := io.Pipe()
	exit := make(chan int, 1)
	go func() {
		args := []string{"serve", "--demo", "--listen=127.0.0.1:0", "--data-dir=" + filepath.Join(t.TempDir(), "data")}
		exit <- run(ctx, args, strings.NewReader(""), io.Discard, stderr)
		_ = stderr.Close()
	}()
	var served string
	for lines := bufio.NewScanner(logs); lines.Scan(); {
		var line struct{ Msg, Address string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Errorf("log line %q: %v", lines.Text(), err)
		}
		if line.Msg == "serving" {
			served = line.Address
			go func() { // the log must be read on, or the server blocks in writing it
				defer signal()
				resp, err := http.Get("http://" + line.Address + "/healthz")
				if err != nil {
					t.Error(err)
				} else if _ = resp.Body.Close(); resp.StatusCode != http.StatusOK {
					t.Errorf("/healthz answers %s", resp.Status)
				}
			}()
		}
	}
	if code := <-exit; code != 0 || served == "" {
		t.Errorf("exit code %d, served at %q", code, served)
	}
}

func TestServeSaysThatThePortIsTaken(t *testing.T) {
	l := listen(t)
	defer l.Close()
	var stderr bytes.Buffer
	args := []string{"serve", "--demo", "--listen=" + l.Addr().String(), "--data-dir=" + t.TempDir()}
	if code := run(t.Context(), args, nil, io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), "address already in use") {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
}

func TestRequestsUnderWayEndBeforeTheServerDoes(t *testing.T) {
	arrived, mayEnd := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-mayEnd
		if err := r.Context().Err(); err != nil {
			t.Errorf("the signal ended the request's context: %v", err)
		}
		_, _ = io.WriteString(w, "done")
	})
	l, stop, ended := startHTTP(t, handler, time.Minute)
	answer := get(l)
	<-arrived
	stop()
	// The listener closes first; only then may the request end.
	for {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	close(mayEnd)
	if got := <-answer; got != "done" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestStopDoesNotWaitForever(t *testing.T) {
	arrived, mayEnd := make(chan struct{}), make(chan struct{})
	defer close(mayEnd)
	l, stop, ended := startHTTP(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-mayEnd
	}), time.Millisecond)
	answer := get(l)
	<-arrived
	stop()
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the deadline", err)
	}
	if got := <-answer; got != "" {
		t.Errorf("the request got %q", got)
	}
}

func startHTTP(t *testing.T, h http.Handler, grace time.Duration) (l net.Listener, stop func(), ended chan error) {
	t.Helper()
	l = listen(t)
	ctx, stop := context.WithCancel(t.Context())
	ended = make(chan error, 1)
	go func() { ended <- serveHTTP(ctx, l, h, nil, slog.New(slog.DiscardHandler), grace) }()
	return l, stop, ended
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// get sends the body of the answer, empty when there is none.
func get(l net.Listener) chan string {
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			answer <- ""
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- string(body)
	}()
	return answer
}
