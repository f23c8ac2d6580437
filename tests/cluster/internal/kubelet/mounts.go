package kubelet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "k8s.io/api/core/v1"

	"weir/tests/cluster/internal/box"
	"weir/tests/cluster/internal/network"
)

// defaultTerminationLog is where a program leaves its last words.
const defaultTerminationLog = "/dev/termination-log"

// mounts lists what a container sees beside the host's directories. env
// serves subPathExpr.
func (p *pod) mounts(c *v1.Container, dir string, env map[string]string) ([]box.Mount, error) {
	mounts, err := p.systemFiles(c, dir)
	if err != nil {
		return nil, err
	}
	for _, m := range c.VolumeMounts {
		source, readOnly, err := p.volumeSource(m, env)
		if err != nil {
			return nil, fmt.Errorf("mount at %s: %w", m.MountPath, err)
		}
		target := m.MountPath
		if !filepath.IsAbs(target) {
			target = "/" + target
		}
		mounts = append(mounts, box.Mount{Source: source, Target: target, ReadOnly: m.ReadOnly || readOnly})
	}
	return mounts, nil
}

// volumeSource is the host path behind a mount, and whether its kind of
// volume is never written by containers.
func (p *pod) volumeSource(m v1.VolumeMount, env map[string]string) (string, bool, error) {
	for i := range p.spec().Volumes {
		volume := &p.spec().Volumes[i]
		if volume.Name != m.Name {
			continue
		}
		sub := m.SubPath
		if m.SubPathExpr != "" {
			sub = expand(m.SubPathExpr, env)
		}
		source := p.volumeDir(volume)
		if sub != "" {
			if !filepath.IsLocal(sub) {
				return "", false, fmt.Errorf("subPath %q leads out of the volume", sub)
			}
			source = filepath.Join(source, sub)
			if _, err := os.Stat(source); os.IsNotExist(err) {
				if err := os.MkdirAll(source, 0o777); err != nil {
					return "", false, err
				}
			}
		}
		written := volume.EmptyDir != nil || volume.HostPath != nil
		return source, !written, nil
	}
	return "", false, fmt.Errorf("no volume %q", m.Name)
}

// systemFiles are the files that Kubernetes puts into every container.
func (p *pod) systemFiles(c *v1.Container, dir string) ([]box.Mount, error) {
	message := c.TerminationMessagePath
	if message == "" {
		message = defaultTerminationLog
	}
	files := []struct{ name, target, content string }{
		{"termination-log", message, ""},
		{"hosts", "/etc/hosts", p.hostsFile()},
		{"hostname", "/etc/hostname", p.hostname() + "\n"},
		{"resolv.conf", "/etc/resolv.conf", p.resolvFile()},
	}
	var mounts []box.Mount
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if err := os.WriteFile(path, []byte(f.content), 0o666); err != nil {
			return nil, err
		}
		mounts = append(mounts, box.Mount{Source: path, Target: f.target})
	}
	return mounts, nil
}

func (p *pod) hostsFile() string {
	var out strings.Builder
	out.WriteString("127.0.0.1\tlocalhost\n")
	fmt.Fprintf(&out, "%s\t%s\n", p.address(), p.hostname())
	for _, alias := range p.spec().HostAliases {
		fmt.Fprintf(&out, "%s\t%s\n", alias.IP, strings.Join(alias.Hostnames, "\t"))
	}
	return out.String()
}

func (p *pod) resolvFile() string {
	return fmt.Sprintf("search %s.svc.cluster.local svc.cluster.local cluster.local\nnameserver %s\noptions ndots:5\n",
		p.namespace, network.DNSAddress)
}
