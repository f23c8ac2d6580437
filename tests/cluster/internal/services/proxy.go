package services

import (
	"context"
	"io"
	"log/slog"
	"net"
	"time"

	"k8s.io/client-go/kubernetes"
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
			go s.serve()
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

func (s *service) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		go s.forward(conn.(*net.TCPConn))
	}
}

// forward tries the endpoints in turn. Without any the client is reset, as if
// nobody listened.
func (s *service) forward(client *net.TCPConn) {
	for _, backend := range s.table.backends(s.frontend) {
		conn, err := net.DialTimeout("tcp", backend, dialLimit)
		if err == nil {
			join(client, conn.(*net.TCPConn))
			return
		}
	}
	_ = client.SetLinger(0)
	client.Close()
}

// join copies both ways and hands on each side's end, so that a half-closed
// connection stays one.
func join(a, b *net.TCPConn) {
	done := make(chan struct{})
	pipe := func(to, from *net.TCPConn) {
		if _, err := io.Copy(to, from); err != nil {
			_ = to.SetLinger(0)
			_ = from.SetLinger(0)
			to.Close()
			from.Close()
			return
		}
		_ = to.CloseWrite()
	}
	go func() {
		pipe(a, b)
		close(done)
	}()
	pipe(b, a)
	<-done
	a.Close()
	b.Close()
}
