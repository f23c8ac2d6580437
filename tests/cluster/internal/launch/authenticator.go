package launch

import (
	"fmt"
	"os"
)

// authenticatorAddress is where the API server asks, in the cluster's own
// namespace; it is the one of aws-iam-authenticator.
const authenticatorAddress = "127.0.0.1:21362"

// startAuthenticator starts what says whose a token of EKS is, and returns the
// API server's flags for it. The API server asks with the first such token, so
// nothing waits here.
func (c *cluster) startAuthenticator() ([]string, error) {
	if _, err := c.run("authenticator", "--config="+c.options.EKS, "--listen="+authenticatorAddress); err != nil {
		return nil, err
	}
	file := c.options.path("pki", "authenticator.kubeconfig")
	content := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: authenticator
contexts:
- name: authenticator
  context: {cluster: authenticator, user: apiserver}
clusters:
- name: authenticator
  cluster: {server: "http://%s/authenticate"}
users:
- name: apiserver
`, authenticatorAddress)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		return nil, err
	}
	return []string{"--authentication-token-webhook-config-file=" + file, "--authentication-token-webhook-version=v1"}, nil
}
