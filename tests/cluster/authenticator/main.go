// Command authenticator stands where EKS has its own: it says to an API server
// whose a token is. The checks of the token are aws-iam-authenticator's; what
// they ask of STS is answered here, by a recomputed signature.
//
//	API server ─▶ review ─▶ aws-iam-authenticator's verifier ─▶ sts ─▶ review ─▶ groups of the access entry
package main

import (
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"sigs.k8s.io/aws-iam-authenticator/pkg/token"
)

// readLimit is how long a request may take to come in; all of them are small.
const readLimit = 5 * time.Second

func main() {
	config := flag.String("config", "", "file that says whose keys are valid and which roles are let in")
	listen := flag.String("listen", "", "address for the API server's questions")
	flag.Parse()
	if err := run(*config, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "authenticator:", err)
		os.Exit(1)
	}
}

func run(file, address string) error {
	config, err := readConfig(file)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	if err := serveSTS(&sts{identities: config.identities(), now: time.Now}); err != nil {
		return fmt.Errorf("cannot serve STS: %w", err)
	}
	review := &review{
		verifier: token.NewVerifier(config.Cluster, config.Partition, config.Region),
		groups:   config.groups(),
		log:      log,
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: review, ReadTimeout: readLimit}
	return server.Serve(listener)
}
