package kernel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// indexAge is how old the list of a suite's packages may be before it is asked for
// again. Kernels get a new version about every two weeks.
const indexAge = 24 * time.Hour

// An archive is one suite of Debian's archive for one architecture, with apt state of
// its own. Signatures are checked as the system's apt checks them.
type archive struct {
	dir    string
	conf   string
	mirror string // of the suite: ends in /debian or /debian-security
	suite  string
	arch   string
}

// openArchive lays out the state under dir and asks no server.
func openArchive(dir, mirror, suite, arch string) (*archive, error) {
	if strings.HasSuffix(suite, "-security") {
		mirror += "-security"
	}
	a := &archive{dir: dir, conf: filepath.Join(dir, "apt.conf"), mirror: mirror, suite: suite, arch: arch}
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("prepare apt's state: %w", err)
		}
	}
	quote := func(s string) string { return `"` + filepath.Join(dir, s) + `"` }
	files := map[string]string{
		"status":       "",
		"sources.list": fmt.Sprintf("deb [arch=%s signed-by=%s] %s %s main\n", arch, keyring, mirror, suite),
		"apt.conf": "Dir::Etc::sourcelist " + quote("sources.list") + ";\nDir::Etc::sourceparts \"-\";\n" +
			"Dir::State " + quote("") + ";\nDir::State::lists " + quote("lists") + ";\n" +
			"Dir::State::status " + quote("status") + ";\nDir::Cache " + quote("cache") + ";\n" +
			"APT::Architecture \"" + arch + "\";\nAPT::Architectures { \"" + arch + "\"; };\n" +
			"APT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\nAcquire::Retries \"3\";\n" +
			"Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n" +
			"Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled \"false\";\n" +
			// What other packages hook into apt is for the system's own state.
			"APT::Update::Post-Invoke-Success \"\";\nDPkg::Post-Invoke \"\";\n",
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return nil, fmt.Errorf("prepare apt's state: %w", err)
		}
	}
	return a, nil
}

// names lists the packages of the suite, asking the server when the list is old.
func (a *archive) names(ctx context.Context) ([]string, error) {
	stamp := filepath.Join(a.dir, "updated")
	if info, err := os.Stat(stamp); err != nil || time.Since(info.ModTime()) > indexAge {
		if err := a.update(ctx); err != nil {
			return nil, err
		}
		if err := os.WriteFile(stamp, nil, 0o644); err != nil {
			return nil, fmt.Errorf("list %s: %w", a.suite, err)
		}
	}
	out, err := a.run(ctx, "", "apt-cache", "pkgnames", "linux-")
	return strings.Fields(string(out)), err
}

func (a *archive) update(ctx context.Context) error {
	// Without Error-Mode apt-get takes an unreachable server for a success.
	_, err := a.run(ctx, "", "apt-get", "-qq", "-o", "APT::Update::Error-Mode=any", "update")
	return err
}

// download puts the package's file into dir, which has no other .deb, and returns its path.
func (a *archive) download(ctx context.Context, dir, name string) (string, error) {
	_, err := a.run(ctx, dir, "apt-get", "-qq", "download", name)
	if err != nil { // the list may be older than the archive
		if err := a.update(ctx); err != nil {
			return "", err
		}
		if _, err = a.run(ctx, dir, "apt-get", "-qq", "download", name); err != nil {
			return "", err
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("download %s: got %d files", name, len(found))
	}
	return found[0], nil
}

func (a *archive) run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "APT_CONFIG="+a.conf, "LC_ALL=C")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s (%s): %w: %s", name, strings.Join(args, " "), a.suite, err, lastLine(stderr.String()))
	}
	return stdout.Bytes(), nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// systemMirror returns the Debian mirror that the system's own apt uses.
func systemMirror(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(SITE)").Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for its mirror: %w", err)
	}
	return debianMirror(strings.Fields(string(out)))
}

// debianMirror picks Debian's main archive from the sites of apt's sources, or derives
// it from the security archive.
func debianMirror(sites []string) (string, error) {
	for _, suffix := range []string{"/debian", "/debian-security"} {
		for _, site := range sites {
			if site = strings.TrimRight(site, "/"); strings.HasSuffix(site, suffix) {
				return strings.TrimSuffix(site, suffix) + "/debian", nil
			}
		}
	}
	return "", errors.New("apt's sources name no Debian mirror; set EBPFPROF_DEBIAN_MIRROR to one, a URL that ends in /debian")
}
