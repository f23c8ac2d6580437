package kubelet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/node/api"
	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/exec"
)

// kubeletPort is where the API server expects a node's own server.
const kubeletPort = 10250

// serve answers the API server's calls for logs, exec and port forwarding.
func (n *Node) serve(ctx context.Context, k *Kubelet) error {
	certificate, err := selfSigned(n.Address)
	if err != nil {
		return fmt.Errorf("cannot make a certificate for node %s: %w", n.Name, err)
	}
	handler := api.PodHandler(api.PodHandlerConfig{
		RunInContainer:        k.runInContainer,
		AttachToContainer:     attach,
		GetContainerLogs:      k.containerLogs,
		PortForward:           k.portForward,
		GetPods:               k.podObjects,
		GetPodsFromKubernetes: k.podObjects,
		StreamIdleTimeout:     time.Hour,
		StreamCreationTimeout: callLimit,
	}, false)
	listener, err := net.Listen("tcp", net.JoinHostPort(n.Address, strconv.Itoa(kubeletPort)))
	if err != nil {
		return fmt.Errorf("node %s: %w", n.Name, err)
	}
	server := &http.Server{Handler: handler, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}, ReadHeaderTimeout: callLimit}
	context.AfterFunc(ctx, func() { server.Close() })
	go func() {
		if err := server.ServeTLS(listener, "", ""); err != nil && ctx.Err() == nil {
			k.log.Error("a node's server ended", "node", n.Name, "error", err)
		}
	}()
	return nil
}

// container finds a container of a running pod by name.
func (k *Kubelet) container(namespace, podName, name string) (*container, error) {
	p, err := k.find(namespace, podName)
	if err != nil {
		return nil, err
	}
	for _, c := range p.containers {
		if c.spec.Name == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("pod %s/%s has no container %q", namespace, podName, name)
}

func (c *container) process() *process {
	c.pod.mu.Lock()
	defer c.pod.mu.Unlock()
	return c.proc
}

func (k *Kubelet) runInContainer(ctx context.Context, namespace, podName, name string, cmd []string, io api.AttachIO) error {
	c, err := k.container(namespace, podName, name)
	if err != nil {
		return err
	}
	proc := c.process()
	if proc == nil {
		return fmt.Errorf("container %s of pod %s/%s is not running", name, namespace, podName)
	}
	s := streams{in: io.Stdin()}
	// A nil stream in an interface is not a nil interface.
	if out := io.Stdout(); out != nil {
		s.out = out
		defer out.Close()
	}
	if out := io.Stderr(); out != nil {
		s.err = out
		defer out.Close()
	}
	ended, err := proc.exec(ctx, cmd, s)
	if err != nil {
		return err
	}
	if ended.code != 0 {
		return exec.CodeExitError{Err: fmt.Errorf("command terminated with exit code %d %s", ended.code, ended.message), Code: ended.code}
	}
	return nil
}

func attach(context.Context, string, string, string, api.AttachIO) error {
	return fmt.Errorf("attach is not supported: use logs or exec")
}

func (k *Kubelet) containerLogs(ctx context.Context, namespace, podName, name string, opts api.ContainerLogOpts) (io.ReadCloser, error) {
	c, err := k.container(namespace, podName, name)
	if err != nil {
		return nil, err
	}
	return readLog(ctx, c.dir, opts, func() bool { return c.process() != nil })
}

func (k *Kubelet) portForward(ctx context.Context, namespace, podName string, port int32, stream io.ReadWriteCloser) error {
	p, err := k.find(namespace, podName)
	if err != nil {
		return err
	}
	net := p.network()
	if net == nil {
		return fmt.Errorf("pod %s/%s has no network yet", namespace, podName)
	}
	conn, err := net.Dial(port)
	if err != nil {
		return err
	}
	defer conn.Close()
	go func() {
		_, _ = io.Copy(conn, stream)
		conn.Close()
	}()
	_, _ = io.Copy(stream, conn)
	return nil
}

func (k *Kubelet) podObjects(context.Context) ([]*v1.Pod, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []*v1.Pod
	for _, p := range k.pods {
		all = append(all, p.object())
	}
	return all, nil
}

func selfSigned(address string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: address},
		IPAddresses:  []net.IP{net.ParseIP(address)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
