// Package launch starts a whole cluster as one thing that ends as one thing.
//
//	Up (host) ── clone: network, processes, mounts, user unless root ──▶ Inside
//	  │ listens on 127.0.0.1, hands its listeners over                     │ starts etcd, API server,
//	  │ connects exposed ports for the inside                              │ controllers, scheduler, nodes,
//	  └ prints one line when Inside says ready                             └ gateway; ends when Up is gone
//
// A socket stays in the network namespace in which it was made. So a listener
// of the host is accepted from inside, and a connection accepted inside is
// handed to the host to be joined with one of its ports.
package launch
