// Command weir-cluster runs a real Kubernetes control plane, nodes whose pods
// are real processes, and a real gateway, without containers and without root.
//
//	weir-cluster up --state DIR [flags]     start one and stay until Ctrl-C
//	weir-cluster expose --state DIR PORT    let pods reach 127.0.0.1:PORT of the host
//	weir-cluster end-api --state DIR        kill the API server; all else goes on
//	weir-cluster start-api --state DIR      start it again on the same store
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"weir/tests/cluster/internal/launch"
)

const usage = `weir-cluster up --state DIR [flags]     start a cluster, print one line of JSON, stay until Ctrl-C
weir-cluster expose --state DIR PORT    let pods of a running cluster reach 127.0.0.1:PORT of the host
weir-cluster end-api --state DIR        kill the API server of a running cluster; all else goes on
weir-cluster start-api --state DIR      start it again on the same store, and wait until it is ready
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "weir-cluster:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no command; expected one of:\n%s", usage)
	}
	switch args[0] {
	case "up":
		return up(args[1:])
	case "expose":
		return expose(args[1:])
	case "end-api":
		return order(args, launch.EndAPI)
	case "start-api":
		return order(args, launch.StartAPI)
	case "inside":
		if len(args) != 2 {
			return fmt.Errorf("inside is for weir-cluster itself")
		}
		return launch.Inside(args[1])
	}
	return fmt.Errorf("unknown command %q; expected one of:\n%s", args[0], usage)
}

func up(args []string) error {
	o := &launch.Options{}
	flags := flag.NewFlagSet("up", flag.ExitOnError)
	flags.StringVar(&o.State, "state", "", "directory for the cluster's files")
	flags.IntVar(&o.CPUNodes, "cpu-nodes", 1, "number of nodes without GPUs")
	flags.IntVar(&o.GPUNodes, "gpu-nodes", 2, "number of nodes with simulated GPUs")
	flags.IntVar(&o.GPUsPerNode, "gpus-per-node", 4, "GPUs of each such node")
	flags.IntVar(&o.KwokNodes, "kwok-nodes", 0, "number of pretended nodes for scale")
	flags.IntVar(&o.APIPort, "api-port", 0, "port of 127.0.0.1 for the API server; 0 takes a free one")
	flags.IntVar(&o.GatewayPort, "gateway-port", 0, "port of 127.0.0.1 for the gateway; 0 takes a free one")
	flags.BoolVar(&o.Held, "stop-on-stdin-close", false, "end also when the standard input is closed: when whoever started it is gone")
	flags.BoolVar(&o.NoGateway, "no-gateway", false, "leave the Gateway API and Envoy out")
	flags.Func("eks", "file that says which roles of AWS are let in with tokens of EKS; see authenticator/config.go", func(value string) error {
		path, err := filepath.Abs(value)
		o.EKS = path
		return err
	})
	flags.Func("jwt", "file that says how the API server reads JWTs, and by which keys; see internal/launch/issuer.go", func(value string) error {
		path, err := filepath.Abs(value)
		o.JWT = path
		return err
	})
	flags.Func("image", "NAME=PATH: the executable that stands for an image; may be repeated", func(value string) error {
		name, path, ok := strings.Cut(value, "=")
		if !ok {
			return fmt.Errorf("expected NAME=PATH")
		}
		path, err := filepath.Abs(path)
		o.Images = append(o.Images, name+"="+path)
		return err
	})
	flags.Func("expose", "port of the host's 127.0.0.1 that pods may reach; may be repeated", func(value string) error {
		port, err := strconv.Atoi(value)
		o.Expose = append(o.Expose, port)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("up takes only flags, found %q", flags.Arg(0))
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o.Bin = filepath.Dir(self)
	return launch.Up(o)
}

// order gives a running cluster an order that needs no more than its name.
func order(args []string, give func(state string) error) error {
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	state := flags.String("state", "", "directory of the running cluster")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() != 0 {
		return fmt.Errorf("expected: weir-cluster %s --state DIR", args[0])
	}
	return give(*state)
}

func expose(args []string) error {
	flags := flag.NewFlagSet("expose", flag.ExitOnError)
	state := flags.String("state", "", "directory of the running cluster")
	if err := flags.Parse(args); err != nil {
		return err
	}
	port, err := strconv.Atoi(flags.Arg(0))
	if err != nil || flags.NArg() != 1 {
		return fmt.Errorf("expected: weir-cluster expose --state DIR PORT")
	}
	return launch.Expose(*state, port)
}
