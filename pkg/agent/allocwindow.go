package agent

import "time"

// govern puts probes or takes them away, as the account's budget says.
func (c *allocAccount) govern(a *Allocations, now time.Time) {
	if c.changing != nil {
		select {
		case <-c.changing:
			c.settle(a, now)
		default:
			return
		}
	}
	if now.Before(c.next) && !c.behind {
		return
	}
	before, credit := c.governor.spent, c.governor.credit
	h, err := c.hits(a)
	// What cannot be counted cannot be kept within a budget.
	allowed := err == nil && c.governor.decide(now, c.used(), h)
	if c.attached && (c.governor.spent > before && c.governor.credit < credit) {
		c.hot = now.Add(earlyTime)
	}
	c.next = now.Add(calmInterval)
	if c.attached && now.Before(c.hot) {
		c.next = now
	}
	if c.coverage.due(now) {
		c.note(a, now)
	}
	switch {
	case c.attached && (!allowed || !c.occupied()):
		c.detach()
	case allowed && (!c.attached && c.occupied() || c.attached && c.behind):
		c.attach(a)
	}
}

// occupied reports whether there is anything to probe.
func (c *allocAccount) occupied() bool {
	for _, p := range c.processes {
		if len(p.libraries) > 0 {
			return true
		}
	}
	return false
}
