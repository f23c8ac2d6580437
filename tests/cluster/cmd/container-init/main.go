// Command container-init is process 1 of a container: it builds the
// container's root, starts the program in it, forwards signals, runs the
// commands of exec and of exec probes, and reports how everything ended.
// It is called by the node with the path of a box.Config and a socket.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"

	"weir/tests/cluster/internal/box"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "container-init: expected one argument, the path of the container's description; it is started by node")
		os.Exit(2)
	}
	// Namespaces belong to threads: mounts must be made by the thread that
	// was cloned into them, and that is the first one.
	runtime.LockOSThread()
	control, err := box.FromFile(os.NewFile(box.ControlFD, "control"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "container-init:", err)
		os.Exit(2)
	}
	config, err := readConfig(os.Args[1])
	if err == nil {
		err = enter(config)
	}
	if err != nil {
		fail(control, err)
	}
	supervise(control, config)
}

func readConfig(path string) (*box.Config, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the description: %w", err)
	}
	config := &box.Config{}
	if err := json.Unmarshal(body, config); err != nil {
		return nil, fmt.Errorf("cannot decode %s: %w", path, err)
	}
	if len(config.Args) == 0 {
		return nil, fmt.Errorf("no command: the image is not mapped and the container names none")
	}
	return config, nil
}

// fail reports that the program never ran. 128 is what a container runtime
// reports for a command that cannot be started.
func fail(control *box.Conn, cause error) {
	if err := control.Send(box.Packet{Kind: box.Failed, Message: cause.Error()}); err != nil {
		fmt.Fprintln(os.Stderr, "container-init:", err)
	}
	os.Exit(128)
}
