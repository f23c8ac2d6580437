package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"weir/tests/cluster/internal/network"
)

// apiServer is the API server, which may be ended and started while all else goes on.
type apiServer struct {
	mu      sync.Mutex
	args    []string
	config  *rest.Config
	process *part // nil: none runs
}

// startStoreAndAPI starts the store and the API server and waits until it is ready.
func (c *cluster) startStoreAndAPI(ctx context.Context, config *rest.Config) error {
	o := c.options
	pki := func(name string) string { return o.path("pki", name) }
	if _, err := c.run("controlplane", "etcd", "--data-dir="+o.path("etcd")); err != nil {
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
	c.api.mu.Lock()
	defer c.api.mu.Unlock()
	c.api.args, c.api.config = args, config
	return c.startAPI(ctx)
}

// startAPI starts the API server and waits until it is ready; its lock is held.
func (c *cluster) startAPI(ctx context.Context) error {
	process, err := c.run("controlplane", c.api.args...)
	if err != nil {
		return err
	}
	c.api.process = process
	// A connection to the one before is of no use.
	client, err := rest.HTTPClientFor(c.api.config)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(startLimit)
	for {
		why := answersOK(ctx, client, c.api.config.Host+"/readyz")
		if why == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the API server is not ready after %s: %w", startLimit, why)
		}
		time.Sleep(pollPause)
	}
}

// endAPI kills the API server. All other parts go on.
func (c *cluster) endAPI() error {
	c.api.mu.Lock()
	defer c.api.mu.Unlock()
	if c.api.process == nil {
		return errors.New("no API server runs")
	}
	process := c.api.process
	c.api.process = nil
	return process.kill()
}

// startAPIAgain starts it on what the one before has stored.
func (c *cluster) startAPIAgain(ctx context.Context) error {
	c.api.mu.Lock()
	defer c.api.mu.Unlock()
	if c.api.process != nil {
		return errors.New("the API server runs already")
	}
	return c.startAPI(ctx)
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
