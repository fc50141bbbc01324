// Command hufu is the identity provider's server and its operator's commands: one file a subcommand. It reads the
// configuration (file, environment, flags), hands it to the packages that do the work, and turns errors into an
// exit code: 1 when the work failed, 2 when the command line made no sense.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // time zones on machines that have none installed

	"github.com/alecthomas/kong"

	"hufu/idp/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// commands is the command line. The flags of the configuration are added from the tags of server.Config.
type commands struct {
	ConfigFile string `name:"config" placeholder:"FILE" env:"HUFU_CONFIG" help:"Configuration file (YAML)."`
	kong.Plugins

	Serve    serveCmd    `cmd:"" help:"Run the service."`
	Migrate  migrateCmd  `cmd:"" help:"Bring the database to this version's schema."`
	Backup   backupCmd   `cmd:"" help:"Copy the SQLite database while the service runs."`
	Config   configCmd   `cmd:"" help:"Look at the configuration."`
	Key      keyCmd      `cmd:"" help:"Make key files."`
	User     userCmd     `cmd:"" help:"Make accounts and reset passwords."`
	Sessions sessionsCmd `cmd:"" help:"Sign everybody out."`
	Drill    drillCmd    `cmd:"" help:"Practise the bad days on a made-up world: a lost phone, a stolen terminal, a rogue agent, a restore from backup."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// app is what a command's Run gets.
type app struct {
	ctx            context.Context
	stdin          io.Reader
	stdout, stderr io.Writer
	cli            *commands
	flags          configFlags
}

// config reads and validates the whole configuration.
func (a *app) config() (server.Config, error) {
	return loadConfig(a.cli.ConfigFile, os.Environ(), a.flags.values())
}

// usageExit carries kong's wish to exit (after --help) up to run.
type usageExit int

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case usageExit:
			code = int(v)
		default:
			panic(v)
		}
	}()
	a := &app{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr, cli: &commands{}, flags: newConfigFlags()}
	a.cli.Plugins = kong.Plugins{a.flags.target}
	parser, err := kong.New(a.cli, kong.Name("hufu"), kong.Writers(stdout, stderr),
		kong.Description("Two-factor identity provider for merchants and their terminals."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), languages(),
		kong.Exit(func(code int) { panic(usageExit(code)) }))
	if err != nil {
		fmt.Fprintln(stderr, "hufu:", err)
		return 2
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "hufu: %v\nTry: hufu --help\n", err)
		return 2
	}
	if err := command.Run(a); err != nil {
		fmt.Fprintln(stderr, "hufu:", err)
		return 1
	}
	return 0
}
