package profile

// IsLevel tells whether a sample type, or a kind of profiles that is named after one, is a level and not a flow, by pprof's
// names. A flow, such as alloc_space, happens over a span: spans side by side add up. A level, such as inuse_space, is there
// at a moment: what is true of several moments together is their mean.
func IsLevel(name string) bool { return name == "inuse_space" || name == "inuse_objects" }
