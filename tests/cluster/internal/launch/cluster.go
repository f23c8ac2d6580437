package launch

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"weir/tests/cluster/internal/network"
	"weir/tests/cluster/internal/setup"
)

const (
	// startLimit is how long one part may take to answer on a busy machine.
	startLimit = 3 * time.Minute
	// pollPause is the pause between looks at a part that starts.
	pollPause = 50 * time.Millisecond
)

// cluster is the parts of a running cluster.
type cluster struct {
	options *Options
	ended   chan error
	api     apiServer
}

// start starts all parts in order and returns the gateway's address.
func (c *cluster) start(ctx context.Context) (string, error) {
	o := c.options
	config, err := clientcmd.BuildConfigFromFlags("", o.path("pki", "inside.kubeconfig"))
	if err != nil {
		return "", err
	}
	config.QPS = -1
	if err := c.startStoreAndAPI(ctx, config); err != nil {
		return "", err
	}
	kubeconfig := "--kubeconfig=" + o.path("pki", "inside.kubeconfig")
	parts := [][]string{
		{"controlplane", "kube-controller-manager", kubeconfig, "--leader-elect=false", "--secure-port=0",
			"--service-account-private-key-file=" + o.path("pki", "sa.key"), "--root-ca-file=" + o.path("pki", "ca.crt"),
			"--use-service-account-credentials=true", "--controllers=*,-nodeipam,-cloud-node-lifecycle-controller",
			"--kube-api-qps=200", "--kube-api-burst=400"},
		{"controlplane", "kube-scheduler", kubeconfig, "--leader-elect=false", "--secure-port=0",
			"--kube-api-qps=200", "--kube-api-burst=400"},
		c.nodeArgs(kubeconfig),
	}
	if o.KwokNodes > 0 {
		parts = append(parts, []string{"kwok", kubeconfig, "--manage-all-nodes=false", "--cidr=10.65.0.1/16", "--node-lease-duration-seconds=40",
			"--manage-nodes-with-annotation-selector=" + setup.KwokAnnotation + "=fake"})
	}
	for _, args := range parts {
		if _, err := c.run(args[0], args[1:]...); err != nil {
			return "", err
		}
	}
	s, err := setup.New(config, network.HostAddress)
	if err != nil {
		return "", err
	}
	if err := s.Nodes(ctx, o.CPUNodes+o.GPUNodes, o.KwokNodes); err != nil || o.NoGateway {
		return "", err
	}
	return s.Gateway(ctx, o.tool("../share"), c.makeGatewayCertificates)
}

func (c *cluster) nodeArgs(kubeconfig string) []string {
	o := c.options
	args := []string{"node", kubeconfig, "--dir=" + o.State, "--container-init=" + o.tool("container-init"),
		fmt.Sprintf("--cpu-nodes=%d", o.CPUNodes), fmt.Sprintf("--gpu-nodes=%d", o.GPUNodes), fmt.Sprintf("--gpus-per-node=%d", o.GPUsPerNode)}
	images := o.Images
	if !o.NoGateway {
		images = append([]string{"envoyproxy/gateway=" + o.tool("envoy-gateway"), "envoyproxy/envoy=" + o.tool("envoy")}, images...)
	}
	for _, image := range images {
		args = append(args, "--image="+image)
	}
	return args
}

// makeGatewayCertificates lets Envoy Gateway write the secrets with which it
// and Envoy know each other.
func (c *cluster) makeGatewayCertificates(ctx context.Context, namespace string) error {
	cmd := exec.CommandContext(ctx, c.options.tool("envoy-gateway"), "certgen", "--disable-topology-injector")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.options.path("pki", "inside.kubeconfig"), "ENVOY_GATEWAY_NAMESPACE="+namespace)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("envoy-gateway certgen failed: %w: %s", err, output)
	}
	return nil
}

// run starts one part; that it ends, ends the cluster, unless it was meant to.
func (c *cluster) run(tool string, args ...string) (*part, error) {
	name := tool
	if tool == "controlplane" {
		name = args[0]
	}
	log, err := os.OpenFile(c.options.path("logs", name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &part{cmd: exec.Command(c.options.tool(tool), args...), gone: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() {
		err := p.cmd.Wait()
		close(p.gone)
		if !p.meant.Load() {
			c.ended <- fmt.Errorf("%s ended: %v; see %s", name, err, log.Name())
		}
	}()
	return p, nil
}

// part is a process of a cluster.
type part struct {
	cmd   *exec.Cmd
	gone  chan struct{} // closed when it has ended
	meant atomic.Bool   // whether it is to end
}

// kill ends it where it is, and returns when it is gone.
func (p *part) kill() error {
	p.meant.Store(true)
	if err := p.cmd.Process.Kill(); err != nil {
		return err
	}
	<-p.gone
	return nil
}
