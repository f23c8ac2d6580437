package main

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcdStartLimit is how long the embedded server may take to elect itself.
const etcdStartLimit = 60 * time.Second

// runEtcd serves one single-member etcd until SIGINT or SIGTERM. Data is never
// synced to disk: a test cluster's state ends with its process.
func runEtcd(args []string) error {
	flags := flag.NewFlagSet("etcd", flag.ContinueOnError)
	dir := flags.String("data-dir", "", "directory of the database")
	client := flags.String("client-url", "http://127.0.0.1:2379", "URL that clients use")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" {
		return fmt.Errorf("--data-dir is empty; name the directory of the database")
	}
	cfg, err := etcdConfig(*dir, *client)
	if err != nil {
		return err
	}
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("cannot start in %s: %w", *dir, err)
	}
	defer server.Close()

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(etcdStartLimit):
		return fmt.Errorf("not ready after %s", etcdStartLimit)
	}
	select {
	case <-stop:
		return nil
	case err := <-server.Err():
		return err
	}
}

func etcdConfig(dir, client string) (*embed.Config, error) {
	clientURL, err := url.Parse(client)
	if err != nil {
		return nil, fmt.Errorf("--client-url %q is not a URL: %w", client, err)
	}
	peerURL := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	cfg := embed.NewConfig()
	cfg.Dir = dir
	cfg.UnsafeNoFsync = true
	cfg.LogLevel = "error"
	cfg.ListenClientUrls = []url.URL{*clientURL}
	cfg.AdvertiseClientUrls = []url.URL{*clientURL}
	cfg.ListenPeerUrls = []url.URL{peerURL}
	cfg.AdvertisePeerUrls = []url.URL{peerURL}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	return cfg, nil
}
