// Command hocket is the server, and a client for the shell.
//
//	hocket serve --dev                  a server for development, with a page to try it
//	hocket sub ticker:demo              print what a channel brings
//	hocket pub chat:lobby '{"text":1}'  publish
//	hocket call time null               call a method
//	hocket token --user ada …           sign a token, for development
//	hocket check access chat:lobby      explain what a client may do
//	hocket bench ws://…/v1/ws           load a server and measure it
//
// `hocket --help` is the manual.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"hocket.dev"
	_ "hocket.dev/websocket/http2" // net/http allows WebSockets over HTTP/2
)

// The exit codes.
const (
	exitFailed = 1 // it was tried and went wrong
	exitUsage  = 2 // it could not be tried: arguments, configuration, a port in use
)

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// commands are the commands of the command line.
type commands struct {
	Serve   serveCmd   `cmd:"" help:"Run a server."`
	Sub     subCmd     `cmd:"" help:"Subscribe to channels and print what they bring."`
	Pub     pubCmd     `cmd:"" help:"Publish to a channel."`
	Call    callCmd    `cmd:"" help:"Call a method."`
	Token   tokenCmd   `cmd:"" help:"Print a signed token, for development."`
	Check   checkCmd   `cmd:"" help:"Ask a configuration what it does."`
	Bench   benchCmd   `cmd:"" help:"Load a server and measure it."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := interruptible()
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// run runs one command and returns the exit code.
func run(ctx context.Context, args []string, std streams) int {
	var cli commands
	parser := kong.Must(&cli,
		kong.Name("hocket"), kong.Description(manual), kong.Writers(std.out, std.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(std))
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(std.err, "hocket: %v (see hocket --help)\n", err)
		return exitUsage
	}
	if err := command.Run(); errors.Is(err, errDenied) {
		return exitFailed
	} else if err != nil {
		fmt.Fprintf(std.err, "hocket: %s\n", strings.TrimPrefix(err.Error(), "hocket: ")) // as errors of the library begin
		var usage *usageError
		if errors.As(err, &usage) {
			return exitUsage
		}
		return exitFailed
	}
	return 0
}

// interruptible returns a context that ends with the first SIGINT or SIGTERM. The second one ends the process at once.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(exitFailed)
	}()
	return ctx, cancel
}

// A usageError says why a command could not even begin.
type usageError struct{ err error }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// Error returns the sentence.
func (e *usageError) Error() string { return e.err.Error() }

// Unwrap returns the reason.
func (e *usageError) Unwrap() error { return e.err }

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(std streams) error {
	_, err := fmt.Fprintln(std.out, "hocket", hocket.Version)
	return err
}
