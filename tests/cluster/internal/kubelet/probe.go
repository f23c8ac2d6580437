package kubelet

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// maxProbeBody bounds in bytes what is read of an answer to a probe.
const maxProbeBody = 10 << 10

// probes do not keep connections, and follow redirects never off the pod.
var probes = &http.Client{
	Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // as the kubelet does
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// watchProbe calls result each time that a probe changes its mind: after
// failureThreshold failures or successThreshold successes in a row. It ends
// with the context, or after the first success if once is set.
func (p *pod) watchProbe(ctx context.Context, c *v1.Container, probe *v1.Probe, proc *process, once bool, result func(ok bool, why string)) {
	if !pause(ctx, time.Duration(probe.InitialDelaySeconds)*time.Second) {
		return
	}
	period := time.Duration(max(probe.PeriodSeconds, 1)) * time.Second
	successes, failures := int32(0), int32(0)
	for {
		err := p.probe(ctx, c, probe, proc)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			successes, failures = successes+1, 0
			if successes >= max(probe.SuccessThreshold, 1) {
				result(true, "")
				if once {
					return
				}
			}
		} else {
			successes, failures = 0, failures+1
			if once {
				// Whoever waits for a pod to start is told each time.
				p.event(v1.EventTypeWarning, "Unhealthy", "Startup probe failed: "+err.Error())
			}
			if failures >= max(probe.FailureThreshold, 1) {
				result(false, err.Error())
			}
		}
		if !pause(ctx, period) {
			return
		}
	}
}

// pause waits; false if the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *pod) probe(ctx context.Context, c *v1.Container, probe *v1.Probe, proc *process) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(probe.TimeoutSeconds, 1))*time.Second)
	defer cancel()
	switch {
	case probe.HTTPGet != nil:
		return p.httpGet(ctx, c, probe.HTTPGet)
	case probe.Exec != nil:
		var out, errs bytes.Buffer
		ended, err := proc.exec(ctx, probe.Exec.Command, streams{out: &out, err: &errs})
		if err != nil || ended.code == 0 {
			return err
		}
		if said := out.String() + errs.String(); said != "" {
			return errors.New(said)
		}
		return fmt.Errorf("command exited with code %d %s", ended.code, ended.message)
	case probe.TCPSocket != nil:
		port, err := portOf(c, probe.TCPSocket.Port)
		if err != nil {
			return err
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(p.hostOr(probe.TCPSocket.Host), port))
		if err == nil {
			conn.Close()
		}
		return err
	}
	return fmt.Errorf("kind of probe is not supported; supported are httpGet, exec, tcpSocket")
}

func (p *pod) hostOr(host string) string {
	if host != "" {
		return host
	}
	return p.address()
}

func (p *pod) httpGet(ctx context.Context, c *v1.Container, get *v1.HTTPGetAction) error {
	port, err := portOf(c, get.Port)
	if err != nil {
		return err
	}
	scheme := "http"
	if get.Scheme == v1.URISchemeHTTPS {
		scheme = "https"
	}
	path := get.Path
	if path == "" || path[0] != '/' {
		path = "/" + path
	}
	url := fmt.Sprintf("%s://%s%s", scheme, net.JoinHostPort(p.hostOr(get.Host), port), path)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "kube-probe/1.35")
	for _, header := range get.HTTPHeaders {
		if header.Name == "Host" {
			request.Host = header.Value
			continue
		}
		request.Header.Add(header.Name, header.Value)
	}
	response, err := probes.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxProbeBody))
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("HTTP probe failed with statuscode: %d", response.StatusCode)
	}
	return nil
}

func portOf(c *v1.Container, port intstr.IntOrString) (string, error) {
	if port.Type == intstr.Int {
		return strconv.Itoa(port.IntValue()), nil
	}
	for _, p := range c.Ports {
		if p.Name == port.StrVal {
			return strconv.Itoa(int(p.ContainerPort)), nil
		}
	}
	if _, err := strconv.Atoi(port.StrVal); err == nil {
		return port.StrVal, nil
	}
	return "", fmt.Errorf("no port named %q", port.StrVal)
}
