package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// start serves f on a loopback port until stop is called, which returns what Serve did.
func start(t *testing.T, f *fixture) (address string, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Serve(ctx, l) }()
	t.Cleanup(cancel)
	return l.Addr().String(), func() error { cancel(); return <-done }
}

// TestShutdown: open streams and recordings are told, get what there is, and Serve returns.
func TestShutdown(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Limits.Shutdown = time.Minute })
	address, stop := start(t, f)
	c, next := openLive(t, f, "http://"+address+"/api/v1/live")
	next()
	recorded := make(chan int)
	go func() {
		resp, err := http.Get("http://" + address + "/pprof/nginx/profile?seconds=600")
		if err != nil {
			recorded <- 0
			return
		}
		resp.Body.Close()
		recorded <- resp.StatusCode
	}()
	<-f.feed.joined
	if err := stop(); err != nil { // would take the minute if either held it up
		t.Error(err)
	}
	for next() {
	}
	if c.end != "shutdown" {
		t.Errorf("the stream ended with %q", c.end)
	}
	if code := <-recorded; code != 200 {
		t.Errorf("the recording ended with %d", code)
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("the port is still open")
	}
}

// TestShutdownCuts: a client that does not take its answer does not hold up the end.
func TestShutdownCuts(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Limits = Limits{Shutdown: 10 * time.Millisecond, Queries: 1} })
	f.history.block = make(chan struct{})
	address, stop := start(t, f)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /api/v1/profile HTTP/1.1\r\nHost: localhost\r\n\r\n")
	for len(f.queries) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestServeFails(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.WebConfigFile = filepath.Join(t.TempDir(), "none.yml") })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Serve(context.Background(), l); err == nil || !strings.Contains(err.Error(), "none.yml") {
		t.Errorf("a web configuration that is not there: %v", err)
	}
	if err := CheckWebConfig(f.o.WebConfigFile); err == nil {
		t.Error("it is said to be good")
	}
}

// TestWarnsWhenOpen: whoever opens profiles to the network is told.
func TestWarnsWhenOpen(t *testing.T) {
	var log bytes.Buffer
	f := newFixture(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	f.warnIfOpen(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	f.warnIfOpen(&net.TCPAddr{IP: net.IPv6loopback})
	if log.Len() > 0 {
		t.Errorf("loopback: %s", &log)
	}
	f.warnIfOpen(&net.TCPAddr{IP: net.IPv4zero, Port: 9780})
	if !strings.Contains(log.String(), "without a password") {
		t.Errorf("all addresses: %s", &log)
	}
}

// writeWebConfig writes a certificate for localhost and a configuration with a user and a limit.
func writeWebConfig(t *testing.T) (file string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	const hash = "$2a$04$FdYI.TFmUWcfXHxavrmj9en8TFe/YBf29zG/5DJacBNA3c3DovHHG" // bcrypt of "secret"
	dir := t.TempDir()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, b := range map[string][]byte{
		"cert.pem": certificate, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		"web.yml": fmt.Appendf(nil, "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\nbasic_auth_users: {alice: %q}\nrate_limit: {interval: 1h, burst: 6}\n", hash),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	return filepath.Join(dir, "web.yml"), pool
}

// TestWebConfig: TLS, users and the rate limit are exporter-toolkit's; streams work over HTTP/2 too.
func TestWebConfig(t *testing.T) {
	file, pool := writeWebConfig(t)
	if err := CheckWebConfig(file); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, func(o *Options) { o.WebConfigFile = file })
	address, stop := start(t, f)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	get := func(path, password string) *http.Response {
		r, err := http.NewRequest("GET", "https://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if password != "" {
			r.SetBasicAuth("alice", password)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	if code := get("/api/v1/status", "").StatusCode; code != http.StatusUnauthorized {
		t.Errorf("without a password: %d", code)
	}
	if code := get("/api/v1/status", "wrong").StatusCode; code != http.StatusUnauthorized {
		t.Errorf("with a wrong password: %d", code)
	}
	if code := get("/api/v1/status", "secret").StatusCode; code != http.StatusOK {
		t.Errorf("with the password: %d", code)
	}
	live := get("/api/v1/live", "secret")
	if live.StatusCode != 200 || live.ProtoMajor != 2 {
		t.Errorf("live: %s by %s", live.Status, live.Proto)
	}
	<-f.feed.joined
	f.feed.send(liveBatchOf(0, 1, 0, liveSampleOf("nginx", 0, liveStackOf("main"), 1)))
	f.feed.close()
	if text := readAll(t, live.Body); !strings.Contains(text, "main") || !strings.Contains(text, `"end"`) {
		t.Errorf("live over HTTP/2: %s", text)
	}
	limited := false
	for range 6 {
		limited = limited || get("/healthz", "secret").StatusCode == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("the rate limit does not limit")
	}
	client.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if resp, err := http.Get("http://" + address + "/healthz"); err == nil {
		resp.Body.Close()
		t.Error("the port is still open")
	}
}
