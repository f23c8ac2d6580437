package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"weir/tests/cluster/internal/box"
)

// private are the top-level directories that a container does not share with
// the host: each gets an empty one or one made for it.
var private = map[string]bool{"proc": true, "dev": true, "tmp": true, "run": true}

// enter builds the container's root and makes it the root of this process:
// a tmpfs with the host's top-level directories bound read-only, own /dev,
// /proc, /tmp and /run, and the container's mounts on top.
func enter(config *box.Config) error {
	if err := unix.Sethostname([]byte(config.Hostname)); err != nil {
		return fmt.Errorf("cannot set the host name: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot make the mounts private: %w", err)
	}
	if err := unix.Mount("root", config.Root, "tmpfs", unix.MS_NOSUID, "mode=755"); err != nil {
		return fmt.Errorf("cannot mount the root: %w", err)
	}
	// Opened before the root changes: the way back to the host's files.
	host, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open the host's root: %w", err)
	}
	defer unix.Close(host)
	if err := bindHost("/", config.Root, private); err != nil {
		return err
	}
	if err := makeOwn(config.Root); err != nil {
		return err
	}
	if err := unix.Chroot(config.Root); err != nil {
		return fmt.Errorf("cannot change the root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return fmt.Errorf("cannot enter the root: %w", err)
	}
	r := root{host: fmt.Sprintf("/proc/self/fd/%d", host)}
	return r.mountAll(config)
}

// bindHost shows every entry of one host directory in target, read-only.
func bindHost(source, target string, except map[string]bool) error {
	entries, err := os.ReadDir(source)
	if err != nil {
		return fmt.Errorf("cannot list %s: %w", source, err)
	}
	for _, entry := range entries {
		if except[entry.Name()] {
			continue
		}
		from, to := filepath.Join(source, entry.Name()), filepath.Join(target, entry.Name())
		if err := showEntry(entry, from, to); err != nil {
			return err
		}
	}
	return nil
}

func showEntry(entry os.DirEntry, from, to string) error {
	switch {
	case entry.Type()&os.ModeSymlink != 0:
		link, err := os.Readlink(from)
		if err != nil {
			return fmt.Errorf("cannot read link %s: %w", from, err)
		}
		return os.Symlink(link, to)
	case entry.IsDir():
		if err := os.Mkdir(to, 0o755); err != nil {
			return fmt.Errorf("cannot make %s: %w", to, err)
		}
	case entry.Type().IsRegular():
		if err := os.WriteFile(to, nil, 0o644); err != nil {
			return fmt.Errorf("cannot make %s: %w", to, err)
		}
	default:
		// Sockets and devices of the host are no business of a container.
		return nil
	}
	if err := bind(from, to, true); err != nil && !os.IsPermission(err) && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// bind shows source at target with everything mounted below it.
func bind(source, target string, readOnly bool) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return &os.PathError{Op: "bind to " + target, Path: source, Err: err}
	}
	if !readOnly {
		return nil
	}
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, target, unix.AT_RECURSIVE, attr); err != nil {
		return fmt.Errorf("cannot make %s read-only (needs Linux 5.12): %w", target, err)
	}
	return nil
}

// root is the container's root after chroot; host is a path that still leads
// to the host's root.
type root struct {
	host string
}

func (r root) mountAll(config *box.Config) error {
	mounts := append([]box.Mount(nil), config.Mounts...)
	if config.Image != "" {
		target := filepath.Join(box.ImageDir, filepath.Base(config.Image))
		mounts = append(mounts, box.Mount{Source: config.Image, Target: target, ReadOnly: true})
	}
	// Outer paths first: a mount at /a must not hide one at /a/b.
	sort.SliceStable(mounts, func(i, j int) bool {
		return strings.Count(mounts[i].Target, "/") < strings.Count(mounts[j].Target, "/")
	})
	for _, m := range mounts {
		if err := r.mount(m); err != nil {
			return fmt.Errorf("cannot mount %s: %w", m.Target, err)
		}
	}
	return nil
}

func (r root) mount(m box.Mount) error {
	source := r.host + m.Source
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	target := filepath.Clean(m.Target)
	if err := r.makeDir(filepath.Dir(target)); err != nil {
		return err
	}
	if _, err := os.Stat(target); os.IsNotExist(err) {
		if err := r.makePoint(target, info.IsDir()); err != nil {
			return err
		}
	}
	return bind(source, target, m.ReadOnly)
}

// makeDir makes a directory and its parents, also where the host's read-only
// directories are in the way.
func (r root) makeDir(path string) error {
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is a file, expected a directory", path)
		}
		return nil
	}
	if err := r.makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	return r.makePoint(path, true)
}

// makePoint makes an empty file or directory to mount on. If its parent is
// read-only, the parent is first replaced by a copy made of binds.
func (r root) makePoint(path string, dir bool) error {
	err := makeEmpty(path, dir)
	if err == nil || os.IsExist(err) {
		return nil
	}
	if err := r.open(filepath.Dir(path)); err != nil {
		return err
	}
	return makeEmpty(path, dir)
}

func makeEmpty(path string, dir bool) error {
	if dir {
		return os.Mkdir(path, 0o755)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return file.Close()
}

// open covers a read-only directory with a writable one that shows the same
// entries.
func (r root) open(dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	if err := unix.Mount("dir", real, "tmpfs", unix.MS_NOSUID, "mode=755"); err != nil {
		return fmt.Errorf("cannot cover %s: %w", real, err)
	}
	return bindHost(r.host+real, real, nil)
}
