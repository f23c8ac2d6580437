package launch

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"weir/tests/cluster/internal/box"
	"weir/tests/cluster/internal/network"
)

// The packets between Up and Inside, beside those of package box.
const (
	// ready: the cluster is up; Message is the gateway's address, or empty.
	ready box.Kind = "ready"
	// expose: listen inside on the host address at port Code.
	expose box.Kind = "expose"
	// endAPI: kill the API server; what it has stored stays.
	endAPI box.Kind = "end-api"
	// startAPI: start it again, on the same store.
	startAPI box.Kind = "start-api"
	// done answers these three; Message says what went wrong, or is empty.
	done box.Kind = "done"
	// dial: join the connection that comes along with the host's port Code.
	dial box.Kind = "dial"
)

// Line is what Up prints when the cluster is ready.
type Line struct {
	Kubeconfig  string `json:"kubeconfig"`
	API         string `json:"api"`
	Gateway     string `json:"gateway,omitempty"`
	GatewayIP   string `json:"gateway_ip,omitempty"`
	HostAddress string `json:"host_address"`
	State       string `json:"state"`
}

// Up starts a cluster, prints its Line, and serves it until SIGINT or SIGTERM,
// or until a part of it ends. When Up returns, or is killed, nothing is left.
func Up(o *Options) error {
	// The child dies with the thread that made it; keep that thread.
	runtime.LockOSThread()
	if err := o.check(); err != nil {
		return err
	}
	lock, err := clean(o)
	if err != nil {
		return err
	}
	defer lock.Close()
	api, err := listen(o.APIPort)
	if err != nil {
		return fmt.Errorf("cannot listen for the API server: %w", err)
	}
	gateway, err := listen(o.GatewayPort)
	if err != nil {
		return fmt.Errorf("cannot listen for the gateway: %w", err)
	}
	apiURL := "https://" + api.Addr().String()
	if err := makeIdentity(o, apiURL); err != nil {
		return err
	}
	if err := o.save(); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if o.Held {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop <- syscall.SIGTERM
		}()
	}
	h, child, err := startInside(o, api, gateway)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	defer func() {
		// Process 1 of the namespace takes all others with it.
		_ = child.Process.Kill()
		<-ended
	}()
	if err := h.serveControl(o.path("control.sock")); err != nil {
		return err
	}
	readiness := make(chan string, 1)
	go h.obey(readiness)
	for {
		select {
		case <-stop:
			return nil
		case err := <-ended:
			ended <- err
			return fmt.Errorf("the cluster ended: %v; see %s", err, o.path("logs"))
		case address := <-readiness:
			line := Line{Kubeconfig: o.path("kubeconfig"), API: apiURL, HostAddress: network.HostAddress, State: o.State}
			if address != "" {
				line.Gateway, line.GatewayIP = "http://"+gateway.Addr().String(), address
			}
			if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
				return fmt.Errorf("cannot print the ready line: %w", err)
			}
		}
	}
}

// clean takes the state directory and removes what an earlier cluster left.
func clean(o *Options) (*os.File, error) {
	if err := os.MkdirAll(o.State, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the state directory: %w", err)
	}
	state, err := realPath(o.State)
	if err != nil {
		return nil, err
	}
	o.State = state
	lock, err := os.OpenFile(o.path("lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("another cluster uses %s; stop it or name another --state", o.State)
	}
	for _, name := range []string{"etcd", "pods", "logs", "pki", "control.sock", "kubeconfig"} {
		if err := os.RemoveAll(o.path(name)); err != nil {
			return nil, fmt.Errorf("cannot remove what an earlier cluster left: %w", err)
		}
	}
	for _, name := range []string{"logs", "pki"} {
		if err := os.MkdirAll(o.path(name), 0o755); err != nil {
			return nil, err
		}
	}
	return lock, nil
}

// realPath is absolute and without links: containers see the host's files from
// a root of their own, where a link would lead somewhere else.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

func listen(port int) (*net.TCPListener, error) {
	return net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
}

// startInside re-executes this program in namespaces of its own.
func startInside(o *Options, listeners ...*net.TCPListener) (*host, *exec.Cmd, error) {
	conn, theirs, err := box.Pair()
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	files := []*os.File{theirs}
	for _, l := range listeners {
		file, err := l.File()
		if err != nil {
			return nil, nil, err
		}
		defer file.Close()
		files = append(files, file)
	}
	log, err := os.Create(o.path("logs", "weir-cluster.log"))
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	cmd := exec.Command("/proc/self/exe", "inside", o.State)
	cmd.ExtraFiles = files
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = isolation()
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("cannot make namespaces (unprivileged user namespaces must be allowed; `unshare -rn true` must succeed): %w", err)
	}
	return &host{conn: conn, answers: make(chan string)}, cmd, nil
}

func isolation() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		Pdeathsig:  syscall.SIGKILL,
		Setsid:     true, // a terminal's Ctrl-C is for Up alone
	}
	if os.Geteuid() != 0 {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return a
}
