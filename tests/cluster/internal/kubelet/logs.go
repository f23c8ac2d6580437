package kubelet

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/node/api"
)

const (
	// maxLine bounds one line of a log in bytes; longer ones are split.
	maxLine = 16 << 10
	// followPause is how often a followed log is looked at again.
	followPause = 50 * time.Millisecond
	// maxTail bounds in bytes what a termination message takes from a log.
	maxTail = 2048
)

// logWriter writes lines with the time of their arrival in front.
type logWriter struct {
	mu   sync.Mutex
	file *os.File
	rest []byte
}

// openLog makes the log of one start of a container. The one before stays,
// older ones go.
func openLog(dir string) (*logWriter, error) {
	current, previous := logPath(dir, false), logPath(dir, true)
	if err := os.Rename(current, previous); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	file, err := os.OpenFile(current, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &logWriter{file: file}, nil
}

func logPath(dir string, previous bool) string {
	if previous {
		return filepath.Join(dir, "previous.log")
	}
	return filepath.Join(dir, "current.log")
}

func (w *logWriter) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, data...)
	var out bytes.Buffer
	stamp := time.Now().UTC().Format(time.RFC3339Nano)
	for {
		end := bytes.IndexByte(w.rest, '\n')
		if end < 0 && len(w.rest) < maxLine {
			break
		}
		if end < 0 || end > maxLine {
			end = maxLine
			fmt.Fprintf(&out, "%s %s\n", stamp, w.rest[:end])
			w.rest = w.rest[end:]
			continue
		}
		fmt.Fprintf(&out, "%s %s\n", stamp, w.rest[:end])
		w.rest = w.rest[end+1:]
	}
	if _, err := w.file.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(data), nil
}

// Close writes what came without a line's end.
func (w *logWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rest) > 0 {
		fmt.Fprintf(w.file, "%s %s\n", time.Now().UTC().Format(time.RFC3339Nano), w.rest)
		w.rest = nil
	}
	return w.file.Close()
}

// readLog opens a log for a client. running tells whether more may come.
func readLog(ctx context.Context, dir string, opts api.ContainerLogOpts, running func() bool) (io.ReadCloser, error) {
	file, err := os.Open(logPath(dir, opts.Previous))
	if err != nil {
		return nil, fmt.Errorf("no log: the container has not started as often")
	}
	read, write := io.Pipe()
	go func() {
		defer file.Close()
		write.CloseWithError(copyLog(ctx, write, file, opts, running))
	}()
	return read, nil
}

func copyLog(ctx context.Context, to io.Writer, file *os.File, opts api.ContainerLogOpts, running func() bool) error {
	if err := skipToTail(file, opts); err != nil {
		return err
	}
	reader, left := bufio.NewReader(file), opts.LimitBytes
	var part []byte
	for {
		// Asked before reading: what a program wrote before it ended is read.
		more := opts.Follow && !opts.Previous && running()
		chunk, err := reader.ReadBytes('\n')
		part = append(part, chunk...)
		switch {
		case err == nil:
			line, ok := selectLine(part, opts)
			part = nil
			if !ok {
				continue
			}
			if opts.LimitBytes > 0 && len(line) > left {
				line = line[:left]
			}
			if _, err := to.Write(line); err != nil {
				return err
			}
			if left -= len(line); opts.LimitBytes > 0 && left == 0 {
				return nil
			}
		case err != io.EOF:
			return err
		case !more:
			return nil
		default:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(followPause):
			}
		}
	}
}

// selectLine applies the client's wishes to one line.
func selectLine(line []byte, opts api.ContainerLogOpts) ([]byte, bool) {
	stamp, text, _ := bytes.Cut(line, []byte(" "))
	since := opts.SinceTime
	if opts.SinceSeconds > 0 {
		since = time.Now().Add(-time.Duration(opts.SinceSeconds) * time.Second)
	}
	if !since.IsZero() {
		if at, err := time.Parse(time.RFC3339Nano, string(stamp)); err == nil && at.Before(since) {
			return nil, false
		}
	}
	if opts.Timestamps {
		return line, true
	}
	return text, true
}

// skipToTail leaves the file at the last lines that are wanted.
func skipToTail(file *os.File, opts api.ContainerLogOpts) error {
	if opts.Tail <= 0 {
		return nil
	}
	reader := bufio.NewReader(file)
	var starts []int64
	var offset int64
	for {
		line, err := reader.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		starts = append(starts, offset)
		if len(starts) > opts.Tail {
			starts = starts[1:]
		}
		offset += int64(len(line))
	}
	if len(starts) > 0 {
		offset = starts[0]
	}
	_, err := file.Seek(offset, io.SeekStart)
	return err
}

// logTail is the end of a log, for a container that left no message.
func logTail(dir string) string {
	file, err := os.Open(logPath(dir, false))
	if err != nil {
		return ""
	}
	defer file.Close()
	var out bytes.Buffer
	if err := copyLog(context.Background(), &out, file, api.ContainerLogOpts{Tail: 80}, nil); err != nil {
		return ""
	}
	tail := out.Bytes()
	if len(tail) > maxTail {
		tail = tail[len(tail)-maxTail:]
	}
	return string(tail)
}
