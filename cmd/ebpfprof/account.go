package main

import (
	"os"
	"os/user"
	"strconv"
)

// An account is who called sudo.
type account struct {
	uid, gid uint32
	groups   []uint32
	name     string
	home     string
}

// invokingUser is the user behind sudo, nil when there is none or it is root.
func invokingUser() *account {
	uid, err1 := strconv.ParseUint(os.Getenv("SUDO_UID"), 10, 32)
	gid, err2 := strconv.ParseUint(os.Getenv("SUDO_GID"), 10, 32)
	if err1 != nil || err2 != nil || uid == 0 || os.Geteuid() != 0 {
		return nil
	}
	a := &account{uid: uint32(uid), gid: uint32(gid), groups: []uint32{uint32(gid)}}
	u, err := user.LookupId(strconv.FormatUint(uid, 10))
	if err != nil {
		return a
	}
	a.name, a.home = u.Username, u.HomeDir
	ids, err := u.GroupIds()
	if err != nil {
		return a
	}
	a.groups = nil
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			a.groups = append(a.groups, uint32(n))
		}
	}
	return a
}

// environment is ours with the account's own names in it.
func (a *account) environment() []string {
	env := os.Environ()
	if a == nil || a.name == "" {
		return env
	}
	return append(env, "HOME="+a.home, "USER="+a.name, "LOGNAME="+a.name)
}
