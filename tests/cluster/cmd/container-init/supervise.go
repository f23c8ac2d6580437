package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"weir/tests/cluster/internal/box"
)

// commandNotStarted is the exit code of a command that could not be started,
// as shells report it.
const commandNotStarted = 126

// supervisor keeps the container's program and the commands beside it. It is
// the only one that waits for children, because as process 1 it also inherits
// those of others.
type supervisor struct {
	control *box.Conn
	config  *box.Config

	mu       sync.Mutex
	program  int         // process id of the program
	commands map[int]int // process id of an exec command -> its packet ID
}

// supervise starts the program and returns never: it exits with the program.
func supervise(control *box.Conn, config *box.Config) {
	s := &supervisor{control: control, config: config, commands: map[int]int{}}
	if err := os.MkdirAll(config.Dir, 0o755); err != nil {
		fail(control, fmt.Errorf("cannot make the working directory: %w", err))
	}
	s.mu.Lock()
	pid, err := s.start(config.Args, []uintptr{0, 1, 2})
	s.program = pid
	s.mu.Unlock()
	if err != nil {
		fail(control, err)
	}
	s.send(box.Packet{Kind: box.Started})
	go s.obey()
	s.reap()
}

// start runs one command in a session of its own. The caller holds the lock,
// so that the reaper finds the process registered.
func (s *supervisor) start(args []string, files []uintptr) (int, error) {
	if err := os.Setenv("PATH", lookup(s.config.Env, "PATH")); err != nil {
		return 0, err
	}
	path, err := exec.LookPath(args[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return 0, fmt.Errorf("cannot find the command: %w", err)
	}
	pid, err := syscall.ForkExec(path, args, &syscall.ProcAttr{
		Dir:   s.config.Dir,
		Env:   s.config.Env,
		Files: files,
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, fmt.Errorf("cannot start %s: %w", path, err)
	}
	return pid, nil
}

// reap collects every child until the program is among them.
func (s *supervisor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			s.exit(box.Packet{Kind: box.Failed, Message: fmt.Sprintf("cannot wait for the program: %v", err)}, 128)
		}
		if !status.Exited() && !status.Signaled() {
			continue
		}
		s.mu.Lock()
		id, isCommand := s.commands[pid]
		delete(s.commands, pid)
		isProgram := pid == s.program
		s.mu.Unlock()
		ended := box.Packet{Code: status.ExitStatus()}
		if status.Signaled() {
			ended.Signal, ended.Code = int(status.Signal()), 128+int(status.Signal())
		}
		switch {
		case isProgram:
			ended.Kind = box.Exit
			s.exit(ended, ended.Code)
		case isCommand:
			ended.Kind, ended.ID = box.ExecExit, id
			s.send(ended)
		}
	}
}

// obey does what the node asks, and ends everything when the node is gone.
func (s *supervisor) obey() {
	for {
		packet, files, err := s.control.Receive()
		if err != nil {
			os.Exit(137)
		}
		s.mu.Lock()
		switch packet.Kind {
		case box.Signal:
			// An error means that the program has just ended.
			_ = syscall.Kill(s.program, syscall.Signal(packet.Signal))
		case box.Exec:
			s.exec(packet, files)
		case box.KillExec:
			for pid, id := range s.commands {
				if id == packet.ID {
					_ = syscall.Kill(-pid, syscall.SIGKILL)
				}
			}
		}
		s.mu.Unlock()
		for _, f := range files {
			f.Close()
		}
	}
}

func (s *supervisor) exec(packet box.Packet, files []*os.File) {
	if len(files) != 3 || len(packet.Args) == 0 {
		s.send(box.Packet{Kind: box.ExecExit, ID: packet.ID, Code: commandNotStarted,
			Message: fmt.Sprintf("exec came with %d descriptors and %d words, expected 3 and at least 1", len(files), len(packet.Args))})
		return
	}
	pid, err := s.start(packet.Args, []uintptr{files[0].Fd(), files[1].Fd(), files[2].Fd()})
	if err != nil {
		s.send(box.Packet{Kind: box.ExecExit, ID: packet.ID, Code: commandNotStarted, Message: err.Error()})
		return
	}
	s.commands[pid] = packet.ID
}

func (s *supervisor) send(packet box.Packet) {
	// An error means that the node is gone; obey sees that too and exits.
	_ = s.control.Send(packet)
}

func (s *supervisor) exit(packet box.Packet, code int) {
	s.send(packet)
	os.Exit(code)
}

func lookup(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if key := name + "="; len(env[i]) >= len(key) && env[i][:len(key)] == key {
			return env[i][len(key):]
		}
	}
	return ""
}
