package e2e

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// A postgres is a database server of the test's own, run as the user postgres.
type postgres struct {
	bin, dir string
}

// startPostgres starts a server on a socket in a temporary directory. It skips the test
// when PostgreSQL is not installed.
func startPostgres(t *testing.T) *postgres {
	t.Helper()
	need(t, "setpriv")
	versions, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(versions) == 0 {
		t.Skip("needs PostgreSQL in /usr/lib/postgresql")
	}
	if _, err := user.Lookup("postgres"); err != nil {
		t.Skipf("needs the user postgres: %v", err)
	}
	dir, err := os.MkdirTemp("", "ebpfprof-pg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &postgres{slices.Max(versions), dir}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	p.run(t, "initdb", "-D", p.data(), "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
	server := p.command("postgres", "-D", p.data(), "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off",
		"-c", "shared_buffers=64MB")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT) // a fast shutdown
		_ = server.Wait()
	})
	for range 200 {
		if p.command("pg_isready", "-h", dir).Run() == nil {
			return p
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("PostgreSQL does not answer after 10 s")
	return nil
}

func (p *postgres) data() string { return filepath.Join(p.dir, "data") }

// command is one of PostgreSQL's own as the user postgres.
func (p *postgres) command(name string, args ...string) *exec.Cmd {
	as := []string{"--reuid=postgres", "--regid=postgres", "--init-groups", filepath.Join(p.bin, name)}
	cmd := exec.Command("setpriv", append(as, args...)...)
	cmd.Dir = p.dir
	return cmd
}

func (p *postgres) run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := p.command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// load puts pgbench's transactions on the server until the test ends.
func (p *postgres) load(t *testing.T) {
	t.Helper()
	p.run(t, "pgbench", "-h", p.dir, "-i", "-q", "-s", "2", "postgres")
	bench := p.command("pgbench", "-h", p.dir, "-c", "2", "-T", "120", "postgres")
	if err := bench.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = bench.Process.Kill()
		if err := bench.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
			t.Error(err)
		}
	})
}
