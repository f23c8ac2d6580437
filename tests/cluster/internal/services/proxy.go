package services

import (
	"context"
	"log/slog"
	"net"
	"time"

	"k8s.io/client-go/kubernetes"

	"weir/tests/cluster/internal/relay"
)

// dialLimit bounds one attempt to reach an endpoint.
const dialLimit = 2 * time.Second

// Run serves cluster IPs and names until the context ends.
func Run(ctx context.Context, client kubernetes.Interface, log *slog.Logger) error {
	t, err := watch(ctx, client)
	if err != nil {
		return err
	}
	if err := serveDNS(ctx, t, log); err != nil {
		return err
	}
	open := map[string]*service{}
	for {
		wanted := t.frontends()
		for address, s := range open {
			if f, ok := wanted[address]; !ok || f != s.frontend {
				s.listener.Close()
				delete(open, address)
			}
		}
		for address, f := range wanted {
			if open[address] != nil {
				continue
			}
			listener, err := net.Listen("tcp", address)
			if err != nil {
				log.Error("cannot listen on a cluster IP", "address", address, "error", err)
				continue
			}
			s := &service{table: t, frontend: f, listener: listener}
			open[address] = s
			go relay.Accept(listener, s.forward)
		}
		select {
		case <-t.changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// service forwards the connections of one port of one cluster IP.
type service struct {
	table    *table
	frontend frontend
	listener net.Listener
}

// forward tries the endpoints in turn. Without any the client is reset, as if
// nobody listened.
func (s *service) forward(client net.Conn) {
	for _, backend := range s.table.backends(s.frontend) {
		conn, err := net.DialTimeout("tcp", backend, dialLimit)
		if err == nil {
			relay.Join(client, conn)
			return
		}
	}
	_ = client.(*net.TCPConn).SetLinger(0)
	client.Close()
}
