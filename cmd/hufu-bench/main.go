// Command hufu-bench measures what tests must not: times, as ratios within one run on one machine. It brings its own
// server with made-up people, on an empty SQLite file or an empty PostgreSQL database, and talks to it over loopback.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	var cli struct {
		Timing   timingCmd   `cmd:"" help:"Compare the time that known and unknown names take, step by step (Mann-Whitney)."`
		Seed     seedCmd     `cmd:"" help:"Make a population to measure with."`
		Simulate simulateCmd `cmd:"" help:"Run a stricter policy against a seeded population."`
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	k := kong.Parse(&cli, kong.Name("hufu-bench"), kong.Description("Measures Hufu."), kong.BindTo(ctx, (*context.Context)(nil)))
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "hufu-bench:", err)
		os.Exit(1)
	}
}
