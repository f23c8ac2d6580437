// Package check proves on a running cluster what the other tests rely on. It
// is run by tests/cluster/check.sh, which builds the cluster first.
package check

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// binVariable names the directory of the cluster's executables.
const binVariable = "WEIR_CLUSTER_BIN"

// startLimit is how long a cluster may take to start on a busy machine.
const startLimit = 4 * time.Minute

// shared is the cluster of all tests that need not stop it.
var shared *cluster

func TestMain(m *testing.M) {
	// The test's own executable is the image of the servers in its pods.
	if name := os.Getenv("CHECK_SERVER"); name != "" {
		serve(name)
	}
	if os.Getenv(binVariable) == "" {
		fmt.Fprintf(os.Stderr, "%s is not set; run tests/cluster/check.sh\n", binVariable)
		os.Exit(1)
	}
	state, err := os.MkdirTemp("", "weir-check-")
	if err == nil {
		shared, err = start(state)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot start a cluster:", err)
		os.Exit(1)
	}
	code := m.Run()
	shared.stop(syscall.SIGTERM)
	if code == 0 {
		_ = os.RemoveAll(state)
	} else {
		fmt.Fprintln(os.Stderr, "the cluster's logs are in", filepath.Join(state, "logs"))
	}
	os.Exit(code)
}

// cluster is a running cluster and clients for it.
type cluster struct {
	cmd     *exec.Cmd
	state   string
	gateway string
	address string // of the gateway, inside
	host    string // of the host, inside
	config  *rest.Config
	client  kubernetes.Interface
	dynamic dynamic.Interface
}

func start(state string, flags ...string) (*cluster, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := append([]string{"up", "--state", state, "--image", "check-server=" + self}, flags...)
	cmd := exec.Command(filepath.Join(os.Getenv(binVariable), "weir-cluster"), args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	late := time.AfterFunc(startLimit, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	text, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("no ready line: %v (%v)", err, cmd.Wait())
	}
	var line struct {
		Kubeconfig string `json:"kubeconfig"`
		Gateway    string `json:"gateway"`
		GatewayIP  string `json:"gateway_ip"`
		Host       string `json:"host_address"`
	}
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		return nil, fmt.Errorf("ready line %q: %w", text, err)
	}
	c := &cluster{cmd: cmd, state: state, gateway: line.Gateway, address: line.GatewayIP, host: line.Host}
	if c.config, err = clientcmd.BuildConfigFromFlags("", line.Kubeconfig); err != nil {
		return nil, err
	}
	c.config.QPS = -1
	if c.client, err = kubernetes.NewForConfig(c.config); err != nil {
		return nil, err
	}
	c.dynamic, err = dynamic.NewForConfig(c.config)
	return c, err
}

func (c *cluster) stop(s syscall.Signal) {
	_ = c.cmd.Process.Signal(s)
	_ = c.cmd.Wait()
}

// limit is a context for one test.
func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// eventually looks until look returns no reason why not.
func eventually(t *testing.T, what string, look func() string) {
	t.Helper()
	began := time.Now()
	for {
		why := look()
		if why == "" {
			t.Logf("%s after %s", what, time.Since(began).Round(time.Millisecond))
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%s: not so after a minute: %s", what, strings.TrimSpace(why))
		}
		time.Sleep(50 * time.Millisecond)
	}
}
