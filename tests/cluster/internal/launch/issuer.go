package launch

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// issuerAddress is where the API server finds an issuer's keys, in the
// cluster's own namespace.
const issuerAddress = "127.0.0.1:21363"

// issuerReadLimit is how long a request for keys may take to come in.
const issuerReadLimit = 5 * time.Second

// jwtFile is what --jwt names: how the API server reads JWTs, and the keys that
// it verifies them by, which the issuer of the first authenticator publishes.
type jwtFile struct {
	Authentication map[string]any  `json:"authentication"`
	Keys           json.RawMessage `json:"keys"`
}

// startIssuer publishes an issuer's keys and returns the API server's flag for
// the AuthenticationConfiguration. The issuer keeps the name that tokens say it
// has; only where it is looked for is the cluster's own. The certificate is the
// API server's, which is valid for the loopback.
func (c *cluster) startIssuer() ([]string, error) {
	o := c.options
	file, err := readJWTFile(o.JWT)
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(o.path("pki", "ca.crt"))
	if err != nil {
		return nil, err
	}
	issuer, err := file.lookHere(string(authority))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.JWT, err)
	}
	config, err := json.Marshal(file.Authentication)
	if err != nil {
		return nil, err
	}
	path := o.path("pki", "authentication.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return nil, err
	}
	if err := c.publish(issuer, file.Keys); err != nil {
		return nil, err
	}
	return []string{"--authentication-config=" + path}, nil
}

func readJWTFile(name string) (*jwtFile, error) {
	body, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	file := &jwtFile{}
	if err := json.Unmarshal(body, file); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	return file, nil
}

// lookHere makes the API server look for the first issuer in the cluster's own
// namespace, and returns its name.
func (f *jwtFile) lookHere(authority string) (string, error) {
	authenticators, _ := f.Authentication["jwt"].([]any)
	if len(authenticators) == 0 {
		return "", fmt.Errorf("no authentication.jwt; expected a list with one authenticator or more")
	}
	first, _ := authenticators[0].(map[string]any)
	issuer, _ := first["issuer"].(map[string]any)
	url, _ := issuer["url"].(string)
	if url == "" {
		return "", fmt.Errorf("no authentication.jwt[0].issuer.url; expected what tokens say in iss")
	}
	issuer["discoveryURL"] = "https://" + issuerAddress + "/.well-known/openid-configuration"
	issuer["certificateAuthority"] = authority
	return url, nil
}

func (c *cluster) publish(issuer string, keys json.RawMessage) error {
	discovery, err := json.Marshal(map[string]any{
		"issuer":                                issuer,
		"jwks_uri":                              "https://" + issuerAddress + "/keys",
		"response_types_supported":              []string{"id_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256", "ES384"},
	})
	if err != nil {
		return err
	}
	o := c.options
	certificate, err := tls.LoadX509KeyPair(o.path("pki", "apiserver.crt"), o.path("pki", "apiserver.key"))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", issuerAddress)
	if err != nil {
		return fmt.Errorf("cannot publish the issuer's keys: %w", err)
	}
	pages := http.NewServeMux()
	for path, body := range map[string][]byte{"/.well-known/openid-configuration": discovery, "/keys": keys} {
		pages.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(body)
		})
	}
	server := &http.Server{Handler: pages, ReadTimeout: issuerReadLimit,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}}
	go func() { c.ended <- fmt.Errorf("the issuer ended: %w", server.ServeTLS(listener, "", "")) }()
	return nil
}
