package main

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	client "github.com/aws/aws-sdk-go-v2/service/sts"
	"sigs.k8s.io/aws-iam-authenticator/pkg/token"
)

var role = identity{
	AccessKey: "ASIAROLE", SecretKey: "wJalrXUtnFEMI/K7MDENG", SessionToken: "session/with+odd=signs",
	ARN: "arn:aws:sts::123456789012:assumed-role/team/metric-check/one",
}

// theirs is a token as AWS's own client makes it.
func theirs(t *testing.T, of identity, region, cluster string) string {
	t.Helper()
	generator, err := token.NewGenerator(false, false)
	if err != nil {
		t.Fatal(err)
	}
	provider := credentials.NewStaticCredentialsProvider(of.AccessKey, of.SecretKey, of.SessionToken)
	made, err := generator.GetWithSTS(cluster, client.NewFromConfig(aws.Config{Region: region, Credentials: provider}))
	if err != nil {
		t.Fatal(err)
	}
	return made.Token
}

// judge is a review for the cluster prod-1 whose STS has another clock.
func judge(t *testing.T, ahead time.Duration) *review {
	t.Helper()
	before := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = before })
	known := map[string]identity{role.AccessKey: role}
	if err := serveSTS(&sts{identities: known, now: func() time.Time { return time.Now().Add(ahead) }}); err != nil {
		t.Fatal(err)
	}
	return &review{
		verifier: token.NewVerifier("prod-1", "aws", "eu-central-1"),
		groups:   map[string][]string{"arn:aws:iam::123456789012:role/team/metric-check": {"weir:metric-check"}},
		log:      slog.New(slog.DiscardHandler),
	}
}

func TestWhatAWSsOwnClientSignsIsLetIn(t *testing.T) {
	h := judge(t, 0)
	for _, region := range []string{"eu-central-1", "us-east-2"} {
		status := h.status(theirs(t, role, region, "prod-1"))
		if !status.Authenticated || status.User.Username != role.ARN || status.User.Groups[0] != "weir:metric-check" {
			t.Errorf("%s: %+v", region, status)
		}
	}
}

func TestWhatDoesNotMatchIsRefused(t *testing.T) {
	other := func(change func(*identity)) identity {
		changed := role
		change(&changed)
		return changed
	}
	cases := map[string]struct {
		by            identity
		cluster, said string
		ahead         time.Duration
	}{
		"another cluster": {role, "prod-2", "does not match the signature", 0},
		"another secret":  {other(func(i *identity) { i.SecretKey = "guessed" }), "prod-1", "does not match the signature", 0},
		"another session": {other(func(i *identity) { i.SessionToken = "older" }), "prod-1", "InvalidClientTokenId", 0},
		"an unknown key":  {other(func(i *identity) { i.AccessKey = "ASIAOTHER" }), "prod-1", "InvalidClientTokenId", 0},
		"an old token":    {role, "prod-1", "Signature expired", 16 * time.Minute},
		"a young one":     {role, "prod-1", "Signature expired", -6 * time.Minute},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			status := judge(t, c.ahead).status(theirs(t, c.by, "eu-central-1", c.cluster))
			if status.Authenticated || !strings.Contains(status.Error, c.said) {
				t.Errorf("%+v", status)
			}
		})
	}
}

func TestARoleWithoutAnAccessEntryIsNobody(t *testing.T) {
	h := judge(t, 0)
	h.groups = nil
	if status := h.status(theirs(t, role, "eu-central-1", "prod-1")); status.Authenticated {
		t.Errorf("%+v", status)
	}
}
