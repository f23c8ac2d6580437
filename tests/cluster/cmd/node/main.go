// Command node runs the nodes of a test cluster in one process: their pods,
// the cluster IPs and the names. It is started by weir-cluster inside the
// cluster's namespaces.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"weir/tests/cluster/internal/kubelet"
	"weir/tests/cluster/internal/network"
	"weir/tests/cluster/internal/services"
)

// list collects a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

func run() error {
	var images list
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig of the API server")
	dir := flag.String("dir", "", "directory for volumes and logs")
	initPath := flag.String("container-init", "", "path of the container-init executable")
	cpus := flag.Int("cpu-nodes", 1, "number of nodes without GPUs")
	gpus := flag.Int("gpu-nodes", 2, "number of nodes with GPUs")
	perNode := flag.Int("gpus-per-node", 4, "GPUs of each such node")
	backoff := flag.Duration("restart-backoff", 2*time.Second, "pause before the second restart of a container; doubles with each one")
	maxBackoff := flag.Duration("max-restart-backoff", time.Minute, "longest pause before a restart")
	flag.Var(&images, "image", "NAME=PATH: the executable that stands for an image; may be repeated")
	flag.Parse()

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", *kubeconfig, err)
	}
	// No client-side limit: what a test starts at once shall start at once.
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	known, err := kubelet.ParseImages(images)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	k := kubelet.New(kubelet.Options{
		Client: client, Dir: *dir, Init: *initPath, Images: known,
		APIHost: network.APIAddress, APIPort: "6443",
		RestartBackoff: *backoff, MaxRestartBackoff: *maxBackoff, Log: log,
	}, nodes(*cpus, *gpus, *perNode))
	errs := make(chan error, 2)
	go func() { errs <- services.Run(ctx, client, log) }()
	go func() { errs <- k.Run(ctx) }()
	return <-errs
}

func nodes(cpus, gpus, perNode int) []*kubelet.Node {
	var all []*kubelet.Node
	for i := range cpus {
		all = append(all, kubelet.NewCPUNode(fmt.Sprintf("cpu-%d", i+1), network.NodeAddress(len(all))))
	}
	for i := range gpus {
		all = append(all, kubelet.NewGPUNode(fmt.Sprintf("gpu-%d", i+1), network.NodeAddress(len(all)), perNode))
	}
	return all
}
