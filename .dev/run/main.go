// Command run starts the demonstration world: the provider, then the sample merchant app and the terminals. When
// one of them ends, or at a signal, all end. Started by make run, from the project's folder.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

const (
	startURL = "http://localhost:8080/"
	readyURL = "http://localhost:8080/readyz"
	startMax = time.Minute
	stopMax  = 25 * time.Second // the provider lets requests end for 20 s
)

// program is one process of the world and the address it will listen on.
type program struct {
	name, addr string
	args       []string
	cmd        *exec.Cmd
}

func (p *program) start(ended chan<- *program) error {
	p.cmd = exec.Command("bin/"+p.name, p.args...)
	p.cmd.Stdout, p.cmd.Stderr = os.Stdout, os.Stderr
	p.cmd.SysProcAttr = childAttributes()
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("%s does not start: %w", p.name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		ended <- p
	}()
	return nil
}

func main() {
	runtime.LockOSThread() // children are tied to the thread that started them: see childAttributes
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := world(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "make run:", err)
		os.Exit(1)
	}
}

func world(ctx context.Context) error {
	provider := &program{name: "hufu", addr: "127.0.0.1:8080", args: []string{"serve", "--demo", "--log-format=text"}}
	merchantApp := &program{name: "merchant-app", addr: "localhost:8081"}
	terminal := &program{name: "terminal", addr: "localhost:8082"}
	if err := portsFree(provider, merchantApp, terminal); err != nil {
		return err
	}
	ended := make(chan *program, 3)
	var running []*program
	defer func() { stopAll(running, ended) }()
	launch := func(p *program) error {
		if err := p.start(ended); err != nil {
			return err
		}
		running = append(running, p)
		return nil
	}
	if err := launch(provider); err != nil {
		return err
	}
	if err := waitReady(ctx, ended); err != nil {
		return err
	}
	if err := errors.Join(launch(merchantApp), launch(terminal)); err != nil {
		return err
	}
	fmt.Printf("\n  The demonstration world is up. Start at %s   (Ctrl-C stops everything)\n\n", startURL)
	select {
	case <-ctx.Done():
		return nil
	case p := <-ended:
		return endedError(p)
	}
}

func portsFree(programs ...*program) error {
	var taken error
	for _, p := range programs {
		l, err := net.Listen("tcp", p.addr)
		if err != nil {
			taken = errors.Join(taken, fmt.Errorf("%s cannot listen on %s; stop what uses that port first (%w)", p.name, p.addr, err))
			continue
		}
		_ = l.Close()
	}
	return taken
}

// waitReady asks the provider until it answers that it is ready.
func waitReady(ctx context.Context, ended chan *program) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startMax, fmt.Errorf("hufu is not ready after %s", startMax))
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if isReady(ctx) {
			return nil
		}
		select {
		case <-tick.C:
		case p := <-ended:
			return endedError(p)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func isReady(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, readyURL, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func endedError(p *program) error {
	p.addr = "" // it need not be stopped
	return fmt.Errorf("%s has ended (%s), so everything stops", p.name, p.cmd.ProcessState)
}

// stopAll asks the programs to end and, past stopMax, ends them.
func stopAll(running []*program, ended chan *program) {
	left := map[*program]bool{}
	for _, p := range running {
		if p.addr != "" {
			left[p] = true
			_ = p.cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	patience := time.After(stopMax)
	for len(left) > 0 {
		select {
		case p := <-ended:
			delete(left, p)
		case <-patience:
			for p := range left {
				_ = p.cmd.Process.Kill()
			}
		}
	}
}
