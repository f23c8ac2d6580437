// Command controlplane is etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler in one executable: the first argument names the part to run,
// the rest are that part's own flags. One link instead of four keeps the build
// of a test cluster short.
package main

import (
	"fmt"
	"os"

	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	if len(os.Args) < 2 {
		usage("no part named")
	}
	part := os.Args[1]
	// The parts' own commands read os.Args as if they were called directly.
	os.Args = append([]string{part}, os.Args[2:]...)
	switch part {
	case "etcd":
		if err := runEtcd(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "etcd:", err)
			os.Exit(1)
		}
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllers.NewControllerManagerCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	default:
		usage(fmt.Sprintf("unknown part %q", part))
	}
}

func usage(problem string) {
	fmt.Fprintf(os.Stderr, "controlplane: %s; expected one of: etcd, kube-apiserver, kube-controller-manager, kube-scheduler\n", problem)
	os.Exit(2)
}
