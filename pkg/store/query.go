package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/store/merge"
)

// ErrNoData means that the history has nothing of what was asked for.
var ErrNoData = errors.New("no profiles")

// A Query asks for the sum of all profiles of a kind in a range; of a level (profile.IsLevel), for the mean of its windows, a
// window without a series counting as zero of it. An interval belongs to the range when its middle lies in
// it, so that ranges side by side share nothing; if there is no such interval, those that overlap the range are taken.
type Query struct {
	Kind     string
	Service  string    // "" means all
	Labels   []Matcher // all must hold
	From, To time.Time // To is not part of the range
}

// Facts say what a Result is made of.
type Facts struct {
	From, To time.Time     // from the start of the first window to the end of the last: it may be more or less than asked for
	Covered  time.Duration // of that, how long windows were recorded
	Windows  int           // as they were added: one is an interval of all series
	Lost     uint64        // events that are in no profile, of all series: whose they were is not known
	Files    int
	Skipped  int     // damaged files, or of sample types that cannot be added to those of the newest
	LeftOut  []int64 // by sample type: what is only counted by the marker merge.LeftOut, as memory is bounded
}

// A Result is the answer to a Query.
type Result struct {
	Profile *pprof.Profile // the receiver's; samples share maps of labels
	Facts
}

// queryLimit bounds the memory of a query's tables; the profile takes about three times as much.
const queryLimit = 48 << 20

// Profile answers a query. The error is ErrNoData if nothing was recorded, with the facts that are known all the same. It
// stops early when ctx ends.
func (s *Store) Profile(ctx context.Context, q Query) (*Result, error) {
	match, err := compile(q.Labels)
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", q.Kind, err)
	}
	list := s.acquire(q.Kind, q.From, q.To)
	defer s.release(list)
	res := &Result{Facts: factsOf(list)}
	groups := s.filesOf(list, q, match, &res.Facts)
	if len(groups) == 0 {
		return res, fmt.Errorf("query %s from %v to %v: %w", q.Kind, q.From, q.To, ErrNoData)
	}
	m, err := s.mergeFiles(ctx, groups, &res.Facts)
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", q.Kind, err)
	}
	if m.Merged() == 0 {
		return res, fmt.Errorf("query %s from %v to %v: %w", q.Kind, q.From, q.To, ErrNoData)
	}
	if profile.IsLevel(q.Kind) {
		m.Divide(int64(max(res.Windows, 1)))
	}
	res.LeftOut = m.LeftOut()
	res.Profile = m.Profile()
	describe(res, profile.IsLevel(q.Kind))
	return res, nil
}

// factsOf sums up intervals, which are sorted by start.
func factsOf(list []*interval) (f Facts) {
	for i, in := range list {
		if i == 0 {
			f.From = in.start
		}
		if in.end().After(f.To) {
			f.To = in.end()
		}
		f.Covered += in.covered
		f.Windows += in.windows
		f.Lost += in.lost
	}
	return f
}

// describe gives the profile the header of the result: that of the files is the sum over series.
func describe(res *Result, isLevel bool) {
	p := res.Profile
	p.TimeNanos, p.DurationNanos = res.From.UnixNano(), int64(res.Covered)
	comments := profile.Summarize(p, 0).Comments // without what windows said of losses
	p.Comments = slices.DeleteFunc(comments, func(c string) bool { return strings.HasPrefix(c, identityComment) })
	if isLevel {
		p.Comments = append(p.Comments, fmt.Sprintf("mean of %d readings", res.Windows))
	}
	p.Comments = append(p.Comments, profile.LostComment(int64(min(res.Lost, 1<<63-1))))
}

// A source is a file to be merged.
type source struct {
	in *interval
	f  *file
}

// filesOf returns the files to merge: those of a series in one group, those of all series each in its own. All have the
// sample types of the newest.
func (s *Store) filesOf(list []*interval, q Query, match func(map[string]string) bool, facts *Facts) (groups [][]source) {
	wanted := map[*series]bool{}
	service, types := valid(q.Service), ""
	var all []source
	for _, in := range list {
		if service == "" && len(q.Labels) == 0 && s.whole(in) {
			all = append(all, source{in, in.all})
			types = in.all.series.types
			continue
		}
		for _, f := range in.files {
			ok, known := wanted[f.series]
			if !known {
				ok = (service == "" || f.series.Service == service) && match(f.series.Labels)
				wanted[f.series] = ok
			}
			if ok {
				all = append(all, source{in, f})
				types = f.series.types
			}
		}
	}
	at := map[*series]int{}
	for _, src := range all {
		if src.f.skip.Load() || src.f.series.types != types {
			facts.Skipped++
			continue
		}
		i, ok := at[src.f.series]
		if !ok || src.f == src.in.all {
			i = len(groups)
			groups = append(groups, nil)
			if src.f != src.in.all {
				at[src.f.series] = i
			}
		}
		groups[i] = append(groups[i], src)
	}
	return groups
}

// whole tells whether the sum of an interval's files can be used in their place: it can when all of them are still there.
func (s *Store) whole(in *interval) bool {
	if in.all == nil || in.damaged.Load() {
		return false
	}
	entries, err := os.ReadDir(filepath.Join(s.dir, in.path()))
	return err == nil && len(entries) == len(in.files)+2
}

// mergeFiles merges groups of files, on several CPUs: stacks of one series are mostly the same, those of two are not, so
// each worker has series of its own.
func (s *Store) mergeFiles(ctx context.Context, groups [][]source, facts *Facts) (*merge.Merger, error) {
	workers := min(len(groups), runtime.GOMAXPROCS(0), maxWorkers)
	mergers, errs, counts := make([]*merge.Merger, workers), make([]error, workers), make([]Facts, workers)
	var wg sync.WaitGroup
	for w := range workers {
		mergers[w] = merge.New(queryLimit)
		wg.Go(func() {
			var r reader
			for i := w; i < len(groups) && errs[w] == nil; i += workers {
				errs[w] = s.mergeGroupFiles(ctx, mergers[w], &r, groups[i], &counts[w])
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	sum := mergers[0]
	for w, m := range mergers {
		facts.Files += counts[w].Files
		facts.Skipped += counts[w].Skipped
		if w > 0 && m.Merged() > 0 {
			sum.Weigh(1)
			if err := sum.Add(m.AppendWire(nil)); err != nil {
				return nil, err
			}
			mergers[w] = nil
		}
	}
	return sum, nil
}

const maxWorkers = 4 // each has its tables

func (s *Store) mergeGroupFiles(ctx context.Context, m *merge.Merger, r *reader, files []source, n *Facts) error {
	for i := 0; i < len(files); i++ {
		src := files[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		switch err := s.readInto(m, r, src.in, src.f); {
		case err == nil:
			n.Files++
		case errors.Is(err, errDamaged):
			n.Skipped++
			if src.f == src.in.all {
				for _, f := range src.in.files {
					files = append(files, source{src.in, f})
				}
			}
		case !errors.Is(err, fs.ErrNotExist): // else removed by hand
			return err
		}
	}
	return nil
}
