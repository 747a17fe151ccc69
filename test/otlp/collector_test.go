package otlp_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/xexporter"
	"go.opentelemetry.io/collector/featuregate"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

// A sink is the exporter at the end of the collector's pipeline: it keeps what arrives.
type sink struct {
	mu       sync.Mutex
	received []pprofile.Profiles
}

func (s *sink) Start(context.Context, component.Host) error { return nil }
func (s *sink) Shutdown(context.Context) error              { return nil }
func (s *sink) Capabilities() consumer.Capabilities         { return consumer.Capabilities{} }

// ConsumeProfiles keeps a copy: the original goes back to a pool.
func (s *sink) ConsumeProfiles(_ context.Context, p pprofile.Profiles) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := pprofile.NewProfiles()
	p.CopyTo(kept)
	s.received = append(s.received, kept)
	return nil
}

func (s *sink) all() []pprofile.Profiles {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]pprofile.Profiles(nil), s.received...)
}

func (s *sink) factories() (otelcol.Factories, error) {
	kind := component.MustNewType("sink")
	keep := func(context.Context, exporter.Settings, component.Config) (xexporter.Profiles, error) { return s, nil }
	f := otelcol.Factories{Telemetry: otelconftelemetry.NewFactory()}
	var err error
	if f.Receivers, err = otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory()); err != nil {
		return f, err
	}
	f.Exporters, err = otelcol.MakeFactoryMap[exporter.Factory](xexporter.NewFactory(kind,
		func() component.Config { return &struct{}{} }, xexporter.WithProfiles(keep, component.StabilityLevelDevelopment)))
	return f, err
}

const configuration = `yaml:
receivers: {otlp: {protocols: {http: {endpoint: "%s"}}}}
exporters: {sink: {}}
service:
  telemetry: {metrics: {level: none}, logs: {level: error}}
  pipelines: {profiles: {receivers: [otlp], exporters: [sink]}}
`

// startCollector runs a collector until the end of the test and returns its URL.
func startCollector(t *testing.T, s *sink) string {
	t.Helper()
	if err := featuregate.GlobalRegistry().Set("service.profilesSupport", true); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	c, err := otelcol.NewCollector(otelcol.CollectorSettings{
		Factories: s.factories, DisableGracefulShutdown: true,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			URIs:              []string{fmt.Sprintf(configuration, address)},
			ProviderFactories: []confmap.ProviderFactory{yamlprovider.NewFactory()},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(context.WithoutCancel(t.Context())) }()
	t.Cleanup(func() {
		c.Shutdown()
		if err := <-ended; err != nil {
			t.Errorf("collector: %v", err)
		}
	})
	for c.GetState() != otelcol.StateRunning {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("collector: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return "http://" + address
}
