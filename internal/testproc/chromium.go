package testproc

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// StartChromium opens a page in a Chromium of its own, which is asked to quit at the end, so that all its processes do.
func StartChromium(t testing.TB, page string) *Process {
	t.Helper()
	var program string
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		t.Skip("needs Chromium: install the package chromium, or name the program in CHROMIUM")
	}
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		Until(t, "the profile to be given up", func() bool { return os.RemoveAll(profile) == nil })
	})
	p := Start(t, program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
		"--ignore-certificate-errors", "--user-data-dir="+profile, page)
	t.Cleanup(func() {
		if p.Signal(syscall.SIGTERM) == nil {
			p.ExitCode(t)
		}
	})
	return p
}
