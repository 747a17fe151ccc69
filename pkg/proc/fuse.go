package proc

import (
	"strings"

	"golang.org/x/sys/unix"
)

// isFUSE tells whether a file system type is served by a process. statfs(2) would
// know, too, but asks that very process. virtiofs has FUSE's magic number but is
// served by the hypervisor, hence trusted.
func isFUSE(fstype string) bool {
	base, _, _ := strings.Cut(fstype, ".") // "fuse.sshfs"
	return base == "fuse" || base == "fuseblk"
}

// servedByUser finds a FUSE mount on the way to a path, also one that another mount
// hides now: to walk it is to ask its server.
func servedByUser(mounts []mount, path string) (mount, bool) {
	for _, m := range mounts {
		rest, below := strings.CutPrefix(path, strings.TrimSuffix(m.point, "/"))
		if isFUSE(m.fstype) && below && (rest == "" || rest[0] == '/') {
			return m, true
		}
	}
	return mount{}, false
}

// fileSystem returns the type of the file system that a file is on, "" if unknown:
// by its mount in the process's mount namespace or ours, else by its device.
func (f FS) fileSystem(pid int, st *unix.Statx_t) string {
	theirs, _ := f.mounts(pid)
	if fstype := typeOfMount(theirs, st); fstype != "" {
		return fstype
	}
	if pid != 0 { // a mount that the process cannot reach since chroot(2) or from elsewhere
		ours, _ := f.mounts(0)
		if fstype := typeOfMount(ours, st); fstype != "" {
			return fstype
		}
	}
	if dev, err := memfdDev(); err == nil && dev == kernelDev(uint64(st.Dev_major), uint64(st.Dev_minor)) {
		return "tmpfs"
	}
	return ""
}

// typeOfMount goes by the mount's ID (statx has it since Linux 5.8), because Btrfs
// and overlayfs give files device numbers that no mount has; then by the device,
// because detached mounts are listed nowhere.
func typeOfMount(mounts []mount, st *unix.Statx_t) string {
	for _, m := range mounts {
		if st.Mask&unix.STATX_MNT_ID != 0 && m.id == st.Mnt_id {
			return m.fstype
		}
	}
	dev := kernelDev(uint64(st.Dev_major), uint64(st.Dev_minor))
	for _, m := range mounts {
		if m.dev == dev {
			return m.fstype
		}
	}
	return ""
}

// memfdDev returns the device of the kernel's internal tmpfs, which holds memfds
// (runc and some JIT compilers run from there) and is mounted nowhere.
func memfdDev() (uint64, error) {
	fd, err := unix.MemfdCreate("dev", unix.MFD_CLOEXEC)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	st, err := statFD(fd, 0)
	if err != nil {
		return 0, err
	}
	return kernelDev(uint64(st.Dev_major), uint64(st.Dev_minor)), nil
}
