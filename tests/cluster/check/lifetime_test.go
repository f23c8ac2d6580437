package check

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNoProcessOutlivesItsCluster(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(s.String(), func(t *testing.T) {
			c, err := start(t.TempDir(), "--no-gateway", "--gpu-nodes", "0", "--kwok-nodes", "1")
			if err != nil {
				t.Fatal(err)
			}
			defer c.stop(syscall.SIGKILL)
			ctx := limit(t)
			if _, err := c.client.CoreV1().Pods("default").Create(ctx, &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "stays"}, Spec: v1.PodSpec{
				Containers: []v1.Container{script("main", "setsid sleep 100000 & trap '' TERM; sleep 100000; sleep 100000")},
			}}, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			var family map[int]string
			eventually(t, "the pod's process runs", func() string {
				family = descendants(t, c.cmd.Process.Pid)
				sleeping := 0
				for _, command := range family {
					if strings.HasPrefix(command, "sleep 100000") {
						sleeping++
					}
				}
				if sleeping < 2 {
					return fmt.Sprint(family)
				}
				return ""
			})
			c.stop(s)
			eventually(t, "all processes are gone", func() string {
				for pid, command := range family {
					if still, err := commandOf(pid); err == nil && still == command {
						return fmt.Sprintf("%d %s", pid, command)
					}
				}
				return ""
			})
		})
	}
}

// descendants are the processes below one, with their commands.
func descendants(t *testing.T, root int) map[int]string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	children := map[int][]int{}
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// The command, in parentheses, may hold anything; the parent follows.
		fields := strings.Fields(string(body[strings.LastIndexByte(string(body), ')')+1:]))
		parent, _ := strconv.Atoi(fields[1])
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		children[parent] = append(children[parent], pid)
	}
	family := map[int]string{}
	for queue := children[root]; len(queue) > 0; queue = queue[1:] {
		if command, err := commandOf(queue[0]); err == nil {
			family[queue[0]] = command
		}
		queue = append(queue, children[queue[0]]...)
	}
	return family
}

func commandOf(pid int) (string, error) {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err == nil && len(body) == 0 {
		err = fmt.Errorf("process %d has ended", pid)
	}
	return strings.ReplaceAll(strings.TrimRight(string(body), "\x00"), "\x00", " "), err
}
