package kubelet

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"weir/tests/cluster/internal/box"
)

// outputGrace is how long output is still read after a command ended; a
// process that it left behind may hold its output for ever.
const outputGrace = time.Second

// streams are a command's input and output; nil means none.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// exec runs a command beside the program and waits for it. When the context
// ends first, the command's process group is killed.
func (p *process) exec(ctx context.Context, args []string, s streams) (exit, error) {
	plumbing, err := connect(s)
	if err != nil {
		return exit{}, err
	}
	ended := make(chan exit, 1)
	p.mu.Lock()
	if p.execs == nil {
		p.mu.Unlock()
		plumbing.closeTheirs()
		plumbing.finish()
		return exit{}, fmt.Errorf("the container is not running")
	}
	p.next++
	id := p.next
	p.execs[id] = ended
	p.mu.Unlock()
	err = p.conn.Send(box.Packet{Kind: box.Exec, ID: id, Args: args}, plumbing.theirs[:]...)
	plumbing.closeTheirs()
	defer plumbing.finish()
	if err != nil {
		return exit{}, err
	}
	select {
	case e := <-ended:
		return e, nil
	case <-ctx.Done():
		_ = p.conn.Send(box.Packet{Kind: box.KillExec, ID: id})
		return exit{}, ctx.Err()
	}
}

// plumbing is the pipes of one command.
type plumbing struct {
	theirs [3]*os.File
	input  *os.File
	copied []chan struct{}
	ours   []*os.File
}

func connect(s streams) (*plumbing, error) {
	p := &plumbing{}
	in, input, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.theirs[0], p.input = in, input
	if s.in == nil {
		input.Close()
	} else {
		go func() {
			// An error means that the command does not read any more.
			_, _ = io.Copy(input, s.in)
			input.Close()
		}()
	}
	for i, to := range []io.Writer{s.out, s.err} {
		read, write, err := os.Pipe()
		if err != nil {
			p.closeTheirs()
			p.finish()
			return nil, err
		}
		if to == nil {
			to = io.Discard
		}
		p.theirs[i+1] = write
		p.ours = append(p.ours, read)
		done := make(chan struct{})
		p.copied = append(p.copied, done)
		go func() {
			defer close(done)
			_, _ = io.Copy(to, read)
		}()
	}
	return p, nil
}

func (p *plumbing) closeTheirs() {
	for _, f := range p.theirs {
		if f != nil {
			f.Close()
		}
	}
}

// finish waits for the output's end, a moment at most, and closes all.
func (p *plumbing) finish() {
	late := time.After(outputGrace)
	for _, done := range p.copied {
		select {
		case <-done:
		case <-late:
		}
	}
	for _, f := range p.ours {
		f.Close()
	}
	p.input.Close()
}
