package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/config"
	"github.com/ebpfprof/ebpfprof/pkg/server"
)

// reload reads the configuration anew and puts it in force, or keeps the old one and says why.
func (d *daemon) reload(context.Context) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	_ = d.notify.reloading()
	err := d.replaceConfig()
	d.mu.Lock()
	d.reloaded.Successful, d.reloaded.Error = err == nil, ""
	if err != nil {
		d.reloaded.Error = err.Error()
	} else {
		d.reloaded.LastSuccess = time.Now()
	}
	d.mu.Unlock()
	if err != nil {
		d.log.Error("configuration not changed", "error", err)
		_ = d.notify.ready("profiling; the new configuration was refused")
		return err
	}
	_ = d.notify.ready("profiling")
	return nil
}

// replaceConfig checks everything before it changes anything.
func (d *daemon) replaceConfig() error {
	c, err := d.load()
	if err != nil {
		return err
	}
	rules, err := serviceRules(c)
	if err != nil {
		return err
	}
	if err := d.push.configure(c.Push); err != nil {
		return err
	}
	d.mu.Lock()
	changed := config.Changed(d.config, c)
	d.config = c
	d.mu.Unlock()
	setLevel(d.level, c.Log.Level)
	d.server.SetHosts(hostsOf(c))
	d.services.rules.Store(rules)
	d.collector.Reidentify()
	d.counters.forget()
	d.waits.services.Forget()
	d.memory.watch.Forget()
	var now, later []string
	for _, f := range changed {
		if f.Restart {
			later = append(later, f.Key)
		} else {
			now = append(now, f.Key)
		}
	}
	d.log.Info("configuration read", "changed", strings.Join(now, ", "))
	if len(later) > 0 {
		d.log.Warn("keys that wait for the next start", "keys", strings.Join(later, ", "))
	}
	return nil
}

// rulesInterval is how often the number of services is looked at.
const rulesInterval = time.Minute

// lookAfterRules makes room for new services when old ones have filled the bound.
func (d *daemon) lookAfterRules(ctx context.Context) {
	tick := time.NewTicker(rulesInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if stats := d.services.rules.Load().Stats(); stats.Overflowed == 0 && stats.Unlabelled == 0 {
			continue
		}
		d.mu.Lock()
		c := d.config
		d.mu.Unlock()
		if rules, err := serviceRules(c); err == nil { // as it was before
			d.services.rules.Store(rules)
			d.collector.Reidentify()
			d.counters.forget()
			d.waits.services.Forget()
			d.memory.watch.Forget()
		}
	}
}

// hostsOf is by which names browsers may call us.
func hostsOf(c config.Config) []string {
	hosts := c.AllowedHosts
	if u, err := url.Parse(c.ExternalURL); err == nil && u.Hostname() != "" {
		hosts = append(hosts[:len(hosts):len(hosts)], u.Hostname())
	}
	return hosts
}

// configStatus is what became of the last reading of the configuration.
func (d *daemon) configStatus() server.ConfigStatus {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reloaded
}

// pushError says whose configuration is wrong.
func pushError(target string, err error) error { return fmt.Errorf("push.%s: %w", target, err) }
