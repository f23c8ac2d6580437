package kubelet

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"weir/tests/cluster/internal/box"
	"weir/tests/cluster/internal/network"
)

// killedCode is the exit code of a program that SIGKILL ended.
const killedCode = 128 + int(syscall.SIGKILL)

// process is one start of one container.
type process struct {
	conn    *box.Conn
	cmd     *exec.Cmd
	started chan struct{} // closed when the program runs
	done    chan struct{} // closed when everything of it is gone; ended is set

	mu    sync.Mutex
	ended exit
	next  int
	execs map[int]chan exit
}

// exit is how a program or a command ended.
type exit struct {
	code    int
	message string // why it could not be started
	failed  bool   // it never ran
	oom     bool   // the kernel ended it for its memory
	at      time.Time
}

// startProcess starts a container in the pod's network. Output goes to log
// until the last process that holds it has ended.
func startProcess(initPath, dir string, net *network.Pod, config *box.Config, log io.Writer) (*process, error) {
	config.Root = filepath.Join(dir, "root")
	if err := os.MkdirAll(config.Root, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "config.json")
	body, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, body, 0o600); err != nil {
		return nil, err
	}
	conn, theirs, err := box.Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	output, write, err := os.Pipe()
	if err != nil {
		conn.Close()
		return nil, err
	}
	defer write.Close()
	cmd := exec.Command(initPath, path)
	cmd.Stdout, cmd.Stderr = write, write
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
	if err := net.Start(cmd); err != nil {
		conn.Close()
		output.Close()
		return nil, fmt.Errorf("cannot start container-init: %w", err)
	}
	p := &process{conn: conn, cmd: cmd, started: make(chan struct{}), done: make(chan struct{}), execs: map[int]chan exit{}}
	go p.follow(output, log)
	return p, nil
}

// follow reads what container-init reports and then collects it.
func (p *process) follow(output io.ReadCloser, log io.Writer) {
	copied := make(chan struct{})
	go func() {
		// An error of the log file loses output, never the exit code.
		_, _ = io.Copy(log, output)
		_, _ = io.Copy(io.Discard, output)
		output.Close()
		close(copied)
	}()
	reported := p.packets()
	_ = p.cmd.Wait()
	<-copied
	p.mu.Lock()
	if reported == nil {
		reported = &exit{code: killedCode}
	}
	p.ended = *reported
	p.ended.at = time.Now()
	for _, waiting := range p.execs {
		waiting <- exit{code: killedCode, message: "the container ended"}
	}
	p.execs = nil
	p.mu.Unlock()
	p.conn.Close()
	close(p.done)
}

// packets reads until container-init is gone; nil if it did not say how.
func (p *process) packets() *exit {
	var ended *exit
	for {
		packet, _, err := p.conn.Receive()
		if err != nil {
			return ended
		}
		switch packet.Kind {
		case box.Started:
			close(p.started)
		case box.Failed:
			ended = &exit{code: 128, message: packet.Message, failed: true}
		case box.Exit:
			// The kubelet kills container-init, which then reports nothing: a
			// program that SIGKILL ended was killed by the kernel.
			ended = &exit{code: packet.Code, oom: packet.Code == killedCode}
		case box.ExecExit:
			p.mu.Lock()
			if waiting := p.execs[packet.ID]; waiting != nil {
				waiting <- exit{code: packet.Code, message: packet.Message}
				delete(p.execs, packet.ID)
			}
			p.mu.Unlock()
		}
	}
}

// signal sends a signal to the program. One that has ended takes none.
func (p *process) signal(s syscall.Signal) {
	_ = p.conn.Send(box.Packet{Kind: box.Signal, Signal: int(s)})
}

// kill ends every process of the container.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

// exit is how the program ended; only after done.
func (p *process) exit() exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}
