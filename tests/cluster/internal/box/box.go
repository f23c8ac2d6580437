// Package box is the contract between a node and the init process of one
// container: the description of the container that the node writes to a file,
// and the packets they exchange over a Unix socket of type seqpacket.
//
//	node ──Signal, Exec(+ stdin, stdout, stderr), KillExec──▶ container-init
//	node ◀──Started | Failed, ExecExit, Exit────────────────── container-init
//
// The init process is process 1 of the container's process namespace: when it
// ends, for whatever reason, the kernel ends every process of the container.
// It ends by itself when the socket closes, that is when the node is gone.
package box

// ControlFD is the descriptor on which the init process finds its socket.
const ControlFD = 3

// ImageDir is where the executable of a mapped image is seen in a container.
const ImageDir = "/.image"

// MaxPacket bounds one packet in bytes; it stays below the default socket
// buffer of Linux (208 KiB), so that a packet is never refused for its size.
const MaxPacket = 128 << 10

// Config describes one start of one container.
type Config struct {
	Hostname string   `json:"hostname"`
	Args     []string `json:"args"`
	Env      []string `json:"env"`
	Dir      string   `json:"dir"`
	// Root is an empty directory of the host on which the root is mounted.
	Root string `json:"root"`
	// Image is the executable bound into ImageDir; empty when not mapped.
	Image  string  `json:"image,omitempty"`
	Mounts []Mount `json:"mounts"`
}

// Mount is a host file or directory shown at an absolute path of the container.
type Mount struct {
	Source   string `json:"source"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"readOnly,omitempty"`
}

// Kind says what a packet means.
type Kind string

const (
	// Started: the program runs.
	Started Kind = "started"
	// Failed: the program could not be started; Message says why.
	Failed Kind = "failed"
	// Exit: the program ended with Code; Signal is not 0 if a signal ended it.
	Exit Kind = "exit"
	// Signal: send Signal to the program.
	Signal Kind = "signal"
	// Exec: start Args beside the program; three descriptors come along.
	Exec Kind = "exec"
	// ExecExit: the command with ID ended with Code.
	ExecExit Kind = "exec-exit"
	// KillExec: kill the process group of the command with ID.
	KillExec Kind = "kill-exec"
)

// Packet is one message of either side.
type Packet struct {
	Kind    Kind     `json:"kind"`
	ID      int      `json:"id,omitempty"`
	Args    []string `json:"args,omitempty"`
	Code    int      `json:"code,omitempty"`
	Signal  int      `json:"signal,omitempty"`
	Message string   `json:"message,omitempty"`
}
