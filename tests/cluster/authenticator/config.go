package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// config is a cluster as EKS knows it, and the part of IAM that matters to it.
type config struct {
	Partition  string     `json:"partition"`
	Region     string     `json:"region"`
	Cluster    string     `json:"cluster"`
	Identities []identity `json:"identities"`
	Entries    []entry    `json:"entries"`
}

// identity is what STS knows of a key.
type identity struct {
	AccessKey    string `json:"accessKey"`
	SecretKey    string `json:"secretKey"`
	SessionToken string `json:"sessionToken"`
	// ARN is what GetCallerIdentity answers.
	ARN string `json:"arn"`
}

// entry lets a role into the cluster, as one of these groups.
type entry struct {
	Principal string   `json:"principal"`
	Groups    []string `json:"groups"`
}

func readConfig(file string) (*config, error) {
	body, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c := &config{}
	if err := json.Unmarshal(body, c); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", file, err)
	}
	if c.Partition == "" || c.Region == "" || c.Cluster == "" {
		return nil, fmt.Errorf("%s must name partition, region and cluster", file)
	}
	return c, nil
}

func (c *config) identities() map[string]identity {
	all := map[string]identity{}
	for _, one := range c.Identities {
		all[one.AccessKey] = one
	}
	return all
}

func (c *config) groups() map[string][]string {
	all := map[string][]string{}
	for _, one := range c.Entries {
		all[one.Principal] = one.Groups
	}
	return all
}
