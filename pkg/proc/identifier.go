package proc

import (
	"sync"
	"time"
)

// An Identifier reads Facts as FS.Facts does, but the files of a container once for all
// of its processes. Any number of goroutines may use it.
type Identifier struct {
	fs  FS
	now func() time.Time

	mu         sync.Mutex
	containers map[containerKey]containerEntry
}

type containerKey struct{ id, uid string }

// containerNames is what files say about a container.
type containerNames struct {
	name string
	pod  Pod
}

type containerEntry struct {
	containerNames
	until time.Time
}

const (
	// maxCached containers are remembered, some ten times what one machine runs.
	maxCached = 4096
	// nameLife is how long a name is believed: containers can be renamed.
	nameLife = 10 * time.Minute
	// namelessLife is how soon a container without a name is looked up again: an engine
	// may write its files after the first process runs.
	namelessLife = 5 * time.Second
)

// NewIdentifier returns an Identifier that reads from fs.
func NewIdentifier(fs FS) *Identifier {
	return &Identifier{fs: fs, now: time.Now, containers: map[containerKey]containerEntry{}}
}

// Facts reads what identifies a process. The error is ErrNoProcess if it is gone.
func (i *Identifier) Facts(pid int) (Facts, error) { return i.fs.facts(pid, i.container) }

func (i *Identifier) container(id, uid string) containerNames {
	key, now := containerKey{id, uid}, i.now()
	i.mu.Lock()
	entry, ok := i.containers[key]
	i.mu.Unlock()
	if ok && now.Before(entry.until) {
		return entry.containerNames
	}
	// Two goroutines may read the same: that costs less than one waiting for the other's container.
	found := i.fs.containerFacts(id, uid)
	life := nameLife
	if found.name == "" && found.pod.Namespace == "" {
		life = namelessLife
		if ok && (entry.name != "" || entry.pod.Namespace != "") {
			found = entry.containerNames // the files went with the container, and a process is left
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.containers) >= maxCached {
		i.evict(now)
	}
	i.containers[key] = containerEntry{found, now.Add(life)}
	return found
}

// evict makes room: by what is out of date, else by any one.
func (i *Identifier) evict(now time.Time) {
	for key, entry := range i.containers {
		if !now.Before(entry.until) {
			delete(i.containers, key)
		}
	}
	for key := range i.containers {
		if len(i.containers) < maxCached {
			break
		}
		delete(i.containers, key)
	}
}

// containerFacts reads the names of a container, or of a pod when id is "".
func (f FS) containerFacts(id, uid string) containerNames {
	var c named
	if id != "" {
		c = f.containerByID(id)
	}
	names := containerNames{name: c.name}
	if uid != "" || c.pod.Namespace != "" {
		names.pod = f.podOf(c, id, uid)
	}
	return names
}
