package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// devices are the host's device files that every container may use.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// makeOwn makes the directories that a container has for itself.
func makeOwn(root string) error {
	open := os.ModeSticky | 0o777
	for name, mode := range map[string]os.FileMode{"proc": 0o755, "dev": 0o755, "dev/shm": open, "tmp": open, "run": 0o755} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(path, 0o755); err != nil {
			return fmt.Errorf("cannot make /%s: %w", name, err)
		}
		if err := os.Chmod(path, mode); err != nil {
			return fmt.Errorf("cannot set the mode of /%s: %w", name, err)
		}
	}
	if err := makeDev(filepath.Join(root, "dev")); err != nil {
		return err
	}
	return mountProc(filepath.Join(root, "proc"))
}

func makeDev(dev string) error {
	for _, name := range devices {
		target := filepath.Join(dev, name)
		if err := makeEmpty(target, false); err != nil {
			return fmt.Errorf("cannot make /dev/%s: %w", name, err)
		}
		if err := bind("/dev/"+name, target, false); err != nil {
			return err
		}
	}
	links := map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(dev, name)); err != nil {
			return fmt.Errorf("cannot make /dev/%s: %w", name, err)
		}
	}
	return nil
}

// mountProc shows the container's own processes. Where the host covers parts
// of /proc the kernel refuses that, and the outer one is shown instead:
// /proc/self is right there too.
func mountProc(target string) error {
	err := unix.Mount("proc", target, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if err == unix.EPERM {
		return bind("/proc", target, false)
	}
	if err != nil {
		return fmt.Errorf("cannot mount /proc: %w", err)
	}
	return nil
}
