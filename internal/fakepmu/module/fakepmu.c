// SPDX-License-Identifier: GPL-2.0-only
/*
 * fakepmu: a PMU whose counts are known, for virtual machines that have none.
 *
 * It registers as PERF_TYPE_RAW, so the perf core routes hardware, hardware cache and raw events to it.
 *
 *  - rate=: what each event counts in a second of a CPU that is not idle (0: nothing).
 *  - exact=: tasks whose name begins so count nothing by time, only what they inject.
 *  - write(2) of "ID N ID N ..." to /dev/fakepmu adds N to every event ID that counts on this CPU for the
 *    caller, and overflows as often as its period is passed, with the caller's user registers.
 *  - read(2) gives a line for each id: "ID EVENTS INJECTED", how many events of it are on some CPU now, and the
 *    sum of what was injected.
 *  - nmi=1 (x86): overflows come in NMI context, by an interrupt of the CPU to itself.
 *  - ncounters=: events that can be on a CPU at once; more are multiplexed by the core.
 *  - precise=: the highest precise_ip that is not refused.
 *
 * README.md has the ids and what this proves.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/hrtimer.h>
#include <linux/kprobes.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/perf_event.h>
#include <linux/sched/clock.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <asm/irq_regs.h>
#ifdef CONFIG_X86
#include <asm/apic.h>
#include <asm/nmi.h>
#endif

/* The ids below PERF_COUNT_HW_MAX are those of PERF_TYPE_HARDWARE. */
enum {
	ID_L1D_LOAD = PERF_COUNT_HW_MAX,
	ID_L1D_MISS,
	ID_LLC_LOAD,
	ID_LLC_MISS,
	ID_DTLB_MISS,
	ID_L1I_LOAD,
	ID_L1I_MISS,
	ID_MAX,
};

#define CACHE(which, result) \
	(PERF_COUNT_HW_CACHE_##which | PERF_COUNT_HW_CACHE_RESULT_##result << 16)

/* Loads only: PERF_COUNT_HW_CACHE_OP_READ is 0. */
static const u64 cache_config[ID_MAX] = {
	[ID_L1D_LOAD] = CACHE(L1D, ACCESS), [ID_L1D_MISS] = CACHE(L1D, MISS),
	[ID_LLC_LOAD] = CACHE(LL, ACCESS),  [ID_LLC_MISS] = CACHE(LL, MISS),
	[ID_L1I_LOAD] = CACHE(L1I, ACCESS), [ID_L1I_MISS] = CACHE(L1I, MISS),
	[ID_DTLB_MISS] = CACHE(DTLB, MISS),
};

/* Bus cycles and stalls can be opened and never move, as on some hypervisors. */
static u64 rate[ID_MAX] = {
	[PERF_COUNT_HW_CPU_CYCLES] = 1000000000,
	[PERF_COUNT_HW_INSTRUCTIONS] = 2000000000,
	[PERF_COUNT_HW_CACHE_REFERENCES] = 10000000,
	[PERF_COUNT_HW_CACHE_MISSES] = 1000000,
	[PERF_COUNT_HW_BRANCH_INSTRUCTIONS] = 200000000,
	[PERF_COUNT_HW_BRANCH_MISSES] = 2000000,
	[PERF_COUNT_HW_REF_CPU_CYCLES] = 1000000000,
	[ID_L1D_LOAD] = 300000000,
	[ID_L1D_MISS] = 5000000,
	[ID_LLC_LOAD] = 10000000,
	[ID_LLC_MISS] = 1000000,
	[ID_DTLB_MISS] = 500000,
	[ID_L1I_LOAD] = 400000000,
	[ID_L1I_MISS] = 4000000,
};
static int nrate = ID_MAX; /* so that reading the parameter gives all of them */
module_param_array(rate, ullong, &nrate, 0644);
static int ncounters = 8;
module_param(ncounters, int, 0644);
static bool nmi;
module_param(nmi, bool, 0644);
static unsigned int precise;
module_param(precise, uint, 0644);
static char exact[TASK_COMM_LEN];
module_param_string(exact, exact, sizeof(exact), 0644);

/*
 * What the module keeps of an event. The perf core gives none of hw_perf_event's hardware fields to itself, but
 * they share a union with its hrtimer: hence a structure of our own.
 */
struct fake_event {
	struct hrtimer timer;
	struct perf_event *event;
	int id;
	u64 since; /* until when its time is counted, by its context's clock */
	u64 rest; /* of the last division: events times NSEC_PER_SEC */
	s64 unsampled; /* counted, but not yet taken off period_left */
	struct pt_regs *pending; /* of an overflow on its way through the NMI */
	int stop; /* what the core answered to it */
};

#define CPU_EVENTS 64

struct cpu_state {
	struct perf_event *events[CPU_EVENTS];
	struct perf_event
		*in_timer; /* whose timer is running: it cannot be cancelled from within */
	int n;
	u64 injected[ID_MAX];
};
static DEFINE_PER_CPU(struct cpu_state, cpus);
static atomic_t on_cpus[ID_MAX];
static struct pmu fake;
static int (*overflow)(struct perf_event *, struct perf_sample_data *, struct pt_regs *);

/*
 * The clock of an event's context, as it stood when the core last looked at it: perf_event_time() in
 * kernel/events/core.c. While the core schedules events in and out this is the moment that it enters as the begin or
 * the end of total_time_running, so that what is counted agrees with it to the nanosecond, however long the host
 * stops this CPU in between.
 */
static u64 entered_time(struct perf_event *e)
{
#ifdef CONFIG_CGROUP_PERF
	if (e->cgrp)
		return per_cpu_ptr(e->cgrp->info, e->cpu)->time;
#endif
	return e->ctx->time;
}

/* The same clock at this moment: perf_event_time_now(). The context must be active. */
static u64 now(struct perf_event *e)
{
#ifdef CONFIG_CGROUP_PERF
	if (e->cgrp)
		return local_clock() + per_cpu_ptr(e->cgrp->info, e->cpu)->timeoffset;
#endif
	return local_clock() + e->ctx->timeoffset;
}

static struct fake_event *fake_of(struct perf_event *e)
{
	return e->pmu_private;
}

static bool counts_by_time(struct task_struct *task)
{
	size_t n = strcspn(exact, "\n"); /* of what echo writes */

	return !is_idle_task(task) && (!n || strncmp(task->comm, exact, n));
}

static void count(struct perf_event *e, u64 n)
{
	local64_add(n, &e->count);
	if (is_sampling_event(e))
		fake_of(e)->unsampled += n;
}

/* Counts the time since the last call, up to t, for the task that runs. */
static void fold(struct perf_event *e, u64 t)
{
	struct fake_event *f = fake_of(e);
	u64 r = READ_ONCE(rate[f->id]), ns, n;

	if (e->hw.state & PERF_HES_STOPPED)
		return;
	ns = t - f->since;
	f->since = t;
	if (!counts_by_time(current) || (s64)ns <= 0 || !r)
		return;
	f->rest += ns % NSEC_PER_SEC * r;
	n = ns / NSEC_PER_SEC * r + f->rest / NSEC_PER_SEC;
	f->rest %= NSEC_PER_SEC;
	count(e, n);
}

static u64 interval(struct perf_event *e)
{
	u64 r = READ_ONCE(rate[fake_of(e)->id]), p = e->hw.sample_period;

	if (!r)
		return 0;
	if (p / r > 3600)
		return 3600 * NSEC_PER_SEC;
	return max_t(u64, p / r * NSEC_PER_SEC + p % r * NSEC_PER_SEC / r, 20 * NSEC_PER_USEC);
}

/* One overflow for each period that was passed: a late timer loses none. Returns whether the core wants a stop. */
static int consume(struct perf_event *e, struct pt_regs *regs)
{
	struct fake_event *f = fake_of(e);
	s64 left = local64_read(&e->hw.period_left) - f->unsampled;
	struct perf_sample_data data;
	int stop = 0;

	f->unsampled = 0;
	while (left <= 0 && !stop) {
		left += e->hw.sample_period;
		e->hw.last_period = e->hw.sample_period;
		perf_sample_data_init(&data, 0, e->hw.sample_period);
		stop = overflow(e, &data, regs);
	}
	if (left <= 0) /* throttled: what a stopped counter would not have counted */
		left = e->hw.sample_period;
	local64_set(&e->hw.period_left, left);
	return stop;
}

#ifdef CONFIG_X86
static int on_nmi(unsigned int type, struct pt_regs *regs)
{
	struct cpu_state *c = this_cpu_ptr(&cpus);
	int i, n = 0;

	for (i = 0; i < c->n; i++) {
		struct fake_event *f = fake_of(c->events[i]);

		if (!f->pending)
			continue;
		f->stop = consume(c->events[i], f->pending);
		WRITE_ONCE(f->pending, NULL);
		n++;
	}
	return n;
}

static int deliver(struct perf_event *e, struct pt_regs *regs)
{
	struct fake_event *f = fake_of(e);
	int spin = 10000000;

	if (!nmi || local64_read(&e->hw.period_left) > f->unsampled)
		return consume(e, regs);
	WRITE_ONCE(f->pending, regs);
	apic->send_IPI(smp_processor_id(), NMI_VECTOR);
	while (READ_ONCE(f->pending) && --spin)
		cpu_relax();
	if (spin)
		return f->stop;
	f->pending = NULL;
	WARN_ONCE(1, "fakepmu: the NMI did not arrive");
	return consume(e, regs);
}
#else
static int deliver(struct perf_event *e, struct pt_regs *regs)
{
	return consume(e, regs);
}
#endif

static void stop_at(struct perf_event *e, u64 t)
{
	if (e->hw.state & PERF_HES_STOPPED)
		return;
	if (is_sampling_event(e) && this_cpu_read(cpus.in_timer) != e)
		hrtimer_cancel(&fake_of(e)->timer);
	fold(e, t);
	e->hw.state |= PERF_HES_STOPPED | PERF_HES_UPTODATE;
}

static void fake_stop(struct perf_event *e, int flags)
{
	stop_at(e, now(e));
}

static bool excluded(struct perf_event *e, struct pt_regs *regs)
{
	return (e->attr.exclude_user && user_mode(regs)) ||
	       (e->attr.exclude_kernel && !user_mode(regs));
}

static enum hrtimer_restart on_timer(struct hrtimer *t)
{
	struct perf_event *e = container_of(t, struct fake_event, timer)->event;
	struct pt_regs *regs = get_irq_regs();

	if (e->state != PERF_EVENT_STATE_ACTIVE || (e->hw.state & PERF_HES_STOPPED))
		return HRTIMER_NORESTART;
	fold(e, now(e));
	this_cpu_write(cpus.in_timer, e);
	if (!regs || excluded(e, regs))
		fake_of(e)->unsampled = 0;
	else if (deliver(e, regs))
		fake_stop(e, 0);
	this_cpu_write(cpus.in_timer, NULL);
	if ((e->hw.state & PERF_HES_STOPPED) || !interval(e))
		return HRTIMER_NORESTART;
	hrtimer_forward_now(t, ns_to_ktime(interval(e)));
	return HRTIMER_RESTART;
}

/*
 * A task's time ends here: what follows is the next one's. So do the periods that it passed: a timer that is late,
 * because the host was busy, would lay them to whoever runs next. Interrupts are off.
 */
static void on_switch(void *data, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct cpu_state *c = this_cpu_ptr(&cpus);
	struct pt_regs regs;
	int i;

	perf_fetch_caller_regs(&regs);
	for (i = 0; i < c->n; i++) {
		struct perf_event *e = c->events[i];

		fold(e, now(e));
		if (is_sampling_event(e) && !(e->hw.state & PERF_HES_STOPPED) &&
		    !is_idle_task(prev) && !excluded(e, &regs) && deliver(e, &regs))
			fake_stop(e, 0);
	}
}

static void start_at(struct perf_event *e, u64 t)
{
	e->hw.state = 0;
	fake_of(e)->since = t;
	if (is_sampling_event(e) && interval(e) && this_cpu_read(cpus.in_timer) != e)
		hrtimer_start(&fake_of(e)->timer, ns_to_ktime(interval(e)),
			      HRTIMER_MODE_REL_PINNED_HARD);
	perf_event_update_userpage(e);
}

static void fake_start(struct perf_event *e, int flags)
{
	u64 t = now(e);

	fold(e, t); /* the core starts a throttled event without having stopped it */
	start_at(e, t);
}

static int fake_add(struct perf_event *e, int flags)
{
	struct cpu_state *c = this_cpu_ptr(&cpus);

	if (c->n >= min(READ_ONCE(ncounters), CPU_EVENTS))
		return -EAGAIN; /* the core rotates */
	c->events[c->n++] = e;
	atomic_inc(&on_cpus[fake_of(e)->id]);
	e->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
	if (flags & PERF_EF_START)
		start_at(e, entered_time(e));
	return 0;
}

static void fake_del(struct perf_event *e, int flags)
{
	struct cpu_state *c = this_cpu_ptr(&cpus);
	int i;

	stop_at(e, entered_time(e));
	for (i = 0; i < c->n; i++) {
		if (c->events[i] != e)
			continue;
		c->events[i] = c->events[--c->n];
		atomic_dec(&on_cpus[fake_of(e)->id]);
		break;
	}
	perf_event_update_userpage(e);
}

static void fake_read(struct perf_event *e)
{
	fold(e, now(e));
}

static int id_of(const struct perf_event_attr *attr)
{
	int id;

	switch (attr->type) {
	case PERF_TYPE_HARDWARE:
		return attr->config < PERF_COUNT_HW_MAX ? attr->config : -EINVAL;
	case PERF_TYPE_HW_CACHE:
		for (id = PERF_COUNT_HW_MAX; id < ID_MAX; id++)
			if (cache_config[id] == attr->config)
				return id;
		return -ENOENT;
	case PERF_TYPE_RAW:
		return attr->config < ID_MAX ? attr->config : -EINVAL;
	}
	return -ENOENT;
}

/* A group that fits in no way is refused when it is opened, as drivers of real PMUs do. */
static bool group_fits(struct perf_event *e)
{
	struct perf_event *leader = e->group_leader, *s;
	int n = leader->pmu == &fake;

	if (leader == e)
		return ncounters >= 1;
	for_each_sibling_event(s, leader) n += s->pmu == &fake;
	return n + 1 <= ncounters;
}

static void fake_destroy(struct perf_event *e)
{
	kfree(e->pmu_private);
}

/* The rates are fixed, and so a frequency is a period. Where nothing counts by time, one of 1000. */
static void fix_period(struct perf_event *e, int id)
{
	u64 hz = max_t(u64, e->attr.sample_freq, 1);

	if (!e->attr.freq)
		return;
	e->attr.freq = 0;
	e->attr.sample_period = rate[id] ? max_t(u64, rate[id] / hz, 1) : 1000;
	e->hw.sample_period = e->hw.last_period = e->attr.sample_period;
	local64_set(&e->hw.period_left, e->hw.sample_period);
}

static int fake_init(struct perf_event *e)
{
	struct fake_event *f;
	int id = id_of(&e->attr);

	if (id < 0)
		return id;
	if (e->attr.precise_ip > precise)
		return -EOPNOTSUPP;
	if (!group_fits(e))
		return -EINVAL;
	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return -ENOMEM;
	f->event = e;
	f->id = id;
	e->pmu_private = f;
	e->destroy = fake_destroy;
	e->hw.state = PERF_HES_STOPPED;
	if (!is_sampling_event(e))
		return 0;
	fix_period(e, id);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
	hrtimer_setup(&f->timer, on_timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
#else
	hrtimer_init(&f->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	f->timer.function = on_timer;
#endif
	return 0;
}

/* Interrupts are off. */
static void inject(unsigned int id, u64 n, struct pt_regs *regs)
{
	struct cpu_state *c = this_cpu_ptr(&cpus);
	int i;

	c->injected[id] += n;
	for (i = 0; i < c->n; i++) {
		struct perf_event *e = c->events[i];

		if (fake_of(e)->id != id || (e->hw.state & PERF_HES_STOPPED) || excluded(e, regs))
			continue;
		count(e, n);
		if (is_sampling_event(e) && deliver(e, regs))
			fake_stop(e, 0);
	}
}

static ssize_t fake_write(struct file *f, const char __user *from, size_t len, loff_t *pos)
{
	struct pt_regs *regs = task_pt_regs(current);
	u64 amount[ID_MAX] = {};
	char text[512], *rest = text;
	unsigned long flags;
	int id;

	if (len >= sizeof(text) || copy_from_user(text, from, len))
		return -EINVAL;
	text[len] = 0;
	while (*(rest = skip_spaces(rest))) {
		unsigned int i;
		int used = 0;
		u64 n;

		if (sscanf(rest, "%u %llu%n", &i, &n, &used) != 2 || !used || i >= ID_MAX ||
		    n > S64_MAX)
			return -EINVAL;
		amount[i] += n;
		rest += used;
	}
	local_irq_save(flags);
	for (id = 0; id < ID_MAX; id++)
		if (amount[id])
			inject(id, amount[id], regs);
	local_irq_restore(flags);
	return len;
}

static ssize_t fake_report(struct file *f, char __user *to, size_t len, loff_t *pos)
{
	char text[1024];
	int id, cpu, n = 0;

	for (id = 0; id < ID_MAX; id++) {
		u64 sum = 0;

		for_each_possible_cpu(cpu) sum += per_cpu(cpus, cpu).injected[id];
		n += scnprintf(text + n, sizeof(text) - n, "%d %d %llu\n", id,
			       atomic_read(&on_cpus[id]), sum);
	}
	return simple_read_from_buffer(to, len, pos, text, n);
}

static const struct file_operations fops = { .owner = THIS_MODULE,
					     .write = fake_write,
					     .read = fake_report };
static struct miscdevice misc = {
	.minor = MISC_DYNAMIC_MINOR, .name = "fakepmu", .fops = &fops, .mode = 0666
};

PMU_FORMAT_ATTR(event, "config:0-7");
static struct attribute *format_attrs[] = { &format_attr_event.attr, NULL };
static const struct attribute_group format_group = { .name = "format", .attrs = format_attrs };
static const struct attribute_group *groups[] = { &format_group, NULL };

static struct pmu fake = {
	.module = THIS_MODULE,
	.task_ctx_nr = perf_hw_context,
	.attr_groups = groups,
	.event_init = fake_init,
	.add = fake_add,
	.del = fake_del,
	.start = fake_start,
	.stop = fake_stop,
	.read = fake_read,
};

static struct tracepoint *sched_switch;

static void find_switch(struct tracepoint *tp, void *unused)
{
	if (!strcmp(tp->name, "sched_switch"))
		sched_switch = tp;
}

/* Not exported to modules: a kprobe knows its address. */
static int find_overflow(void)
{
	struct kprobe kp = { .symbol_name = "perf_event_overflow" };
	int err = register_kprobe(&kp);

	if (err)
		return err;
	overflow = (void *)kp.addr;
	unregister_kprobe(&kp);
	return 0;
}

static int __init fakepmu_init(void)
{
	int err = find_overflow();

	if (err)
		return err;
	for_each_kernel_tracepoint(find_switch, NULL);
	if (!sched_switch)
		return -ENOENT;
	err = tracepoint_probe_register(sched_switch, on_switch, NULL);
	if (err)
		return err;
#ifdef CONFIG_X86
	err = register_nmi_handler(NMI_LOCAL, on_nmi, 0, "fakepmu");
	if (err)
		goto no_nmi;
#endif
	err = perf_pmu_register(&fake, "cpu", PERF_TYPE_RAW);
	if (err)
		goto no_pmu;
	err = misc_register(&misc);
	if (!err)
		return 0;
	perf_pmu_unregister(&fake);
no_pmu:
#ifdef CONFIG_X86
	unregister_nmi_handler(NMI_LOCAL, "fakepmu");
no_nmi:
#endif
	tracepoint_probe_unregister(sched_switch, on_switch, NULL);
	tracepoint_synchronize_unregister();
	return err;
}

static void __exit fakepmu_exit(void)
{
	misc_deregister(&misc);
	perf_pmu_unregister(&fake);
#ifdef CONFIG_X86
	unregister_nmi_handler(NMI_LOCAL, "fakepmu");
#endif
	tracepoint_probe_unregister(sched_switch, on_switch, NULL);
	tracepoint_synchronize_unregister();
}

module_init(fakepmu_init);
module_exit(fakepmu_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("a PMU whose counts are known, for tests");
