package launch

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Options is what the user wants; Up passes it to Inside as a file.
type Options struct {
	State       string   `json:"state"`
	Bin         string   `json:"bin"`
	Images      []string `json:"images"`
	CPUNodes    int      `json:"cpuNodes"`
	GPUNodes    int      `json:"gpuNodes"`
	GPUsPerNode int      `json:"gpusPerNode"`
	KwokNodes   int      `json:"kwokNodes"`
	APIPort     int      `json:"apiPort"`
	GatewayPort int      `json:"gatewayPort"`
	Expose      []int    `json:"expose"`
	NoGateway   bool     `json:"noGateway"`
	EKS         string   `json:"eks"`
	JWT         string   `json:"jwt"`
	// Held: the cluster ends when its standard input is closed, by whoever started it or by his end.
	Held bool `json:"-"`
}

// maxNodes is what the nodes' address range holds.
const maxNodes = 250

func (o *Options) check() error {
	if o.State == "" {
		return fmt.Errorf("--state is empty; name a directory for the cluster's files")
	}
	for name, n := range map[string]int{"--cpu-nodes": o.CPUNodes, "--gpu-nodes": o.GPUNodes, "--gpus-per-node": o.GPUsPerNode, "--kwok-nodes": o.KwokNodes} {
		if n < 0 {
			return fmt.Errorf("%s is %d, expected 0 or more", name, n)
		}
	}
	if n := o.CPUNodes + o.GPUNodes; n > maxNodes {
		return fmt.Errorf("%d nodes, at most %d are possible", n, maxNodes)
	}
	if !o.NoGateway && o.CPUNodes == 0 {
		return fmt.Errorf("the gateway needs a node without GPUs: give --cpu-nodes 1, or --no-gateway")
	}
	for _, port := range o.Expose {
		if port < 1 || port > 65535 {
			return fmt.Errorf("--expose %d: expected a port, 1 to 65535", port)
		}
	}
	tools := []string{"controlplane", "node", "container-init"}
	if o.EKS != "" {
		tools = append(tools, "authenticator")
	}
	for _, name := range tools {
		if _, err := os.Stat(filepath.Join(o.Bin, name)); err != nil {
			return fmt.Errorf("cannot find %s beside weir-cluster; build with tests/cluster/build.sh: %w", name, err)
		}
	}
	return nil
}

func (o *Options) path(parts ...string) string {
	return filepath.Join(append([]string{o.State}, parts...)...)
}

func (o *Options) tool(name string) string { return filepath.Join(o.Bin, name) }

func (o *Options) save() error {
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return os.WriteFile(o.path("options.json"), body, 0o600)
}

func loadOptions(state string) (*Options, error) {
	body, err := os.ReadFile(filepath.Join(state, "options.json"))
	if err != nil {
		return nil, err
	}
	o := &Options{}
	return o, json.Unmarshal(body, o)
}
