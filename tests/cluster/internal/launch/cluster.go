package launch

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"

	"k8s.io/client-go/rest"
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
}

// start starts all parts in order and returns the gateway's address.
func (c *cluster) start(ctx context.Context) (string, error) {
	o := c.options
	config, err := clientcmd.BuildConfigFromFlags("", o.path("pki", "inside.kubeconfig"))
	if err != nil {
		return "", err
	}
	config.QPS = -1
	if err := c.startAPI(ctx, config); err != nil {
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
		if err := c.run(args[0], args[1:]...); err != nil {
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

// startAPI starts the store and the API server and waits until it is ready.
func (c *cluster) startAPI(ctx context.Context, config *rest.Config) error {
	o := c.options
	pki := func(name string) string { return o.path("pki", name) }
	if err := c.run("controlplane", "etcd", "--data-dir="+o.path("etcd")); err != nil {
		return err
	}
	args := []string{"kube-apiserver",
		"--etcd-servers=http://127.0.0.1:2379", "--secure-port=6443", "--bind-address=0.0.0.0", "--advertise-address=" + network.APIAddress,
		"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"), "--cert-dir=" + o.path("pki"),
		"--token-auth-file=" + pki("tokens.csv"), "--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + pki("sa.key"),
		"--service-account-signing-key-file=" + pki("sa.key"), "--service-cluster-ip-range=" + network.ServiceRange,
		"--allow-privileged=true"}
	if o.EKS != "" {
		flags, err := c.startAuthenticator()
		if err != nil {
			return err
		}
		args = append(args, flags...)
	}
	if o.JWT != "" {
		flags, err := c.startIssuer()
		if err != nil {
			return err
		}
		args = append(args, flags...)
	}
	if err := c.run("controlplane", args...); err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(startLimit)
	for {
		why := answersOK(ctx, client, config.Host+"/readyz")
		if why == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the API server is not ready after %s: %w", startLimit, why)
		}
		time.Sleep(pollPause)
	}
}

func answersOK(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %s", url, response.Status, body)
	}
	return err
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

// run starts one part; that it ends, ends the cluster.
func (c *cluster) run(tool string, args ...string) error {
	name := tool
	if tool == "controlplane" {
		name = args[0]
	}
	log, err := os.Create(c.options.path("logs", name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(c.options.tool(tool), args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() { c.ended <- fmt.Errorf("%s ended: %v; see %s", name, cmd.Wait(), log.Name()) }()
	return nil
}
