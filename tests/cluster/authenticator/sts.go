package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// dateFormat is that of X-Amz-Date.
	dateFormat = "20060102T150405Z"
	// life is how long STS takes a signed request, whatever X-Amz-Expires says.
	life = 15 * time.Minute
	// skew is how far ahead a caller's clock may be.
	skew = 5 * time.Minute
)

// sts answers GetCallerIdentity to requests that are signed in their query. It
// takes nothing on trust: the signature is computed again from the secret key
// and from the request as it arrived, by the text of Signature Version 4.
type sts struct {
	identities map[string]identity
	now        func() time.Time
}

// refusal is an error as STS answers it.
type refusal struct {
	status        int
	code, message string
}

func refuse(code, format string, args ...any) *refusal {
	return &refusal{http.StatusForbidden, code, fmt.Sprintf(format, args...)}
}

// serveSTS serves STS on a port of the loopback and sends everything there that
// this process would send to a host of STS. The connection has no TLS.
func serveSTS(s *sts) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	http.DefaultTransport = &http.Transport{
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if !strings.HasPrefix(address, "sts.") {
				return nil, fmt.Errorf("%s is not STS, and there is nothing else here", address)
			}
			dialer := &net.Dialer{}
			return dialer.DialContext(ctx, network, listener.Addr().String())
		},
	}
	server := &http.Server{Handler: s, ReadTimeout: readLimit}
	go func() { _ = server.Serve(listener) }()
	return nil
}

func (s *sts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	caller, no := s.caller(r)
	if no != nil {
		w.WriteHeader(no.status)
		answer(w, map[string]any{
			"Error":     map[string]any{"Type": "Sender", "Code": no.code, "Message": no.message},
			"RequestId": "local",
		})
		return
	}
	account := strings.Split(caller.ARN, ":")[4]
	session := caller.ARN[strings.LastIndex(caller.ARN, "/")+1:]
	result := map[string]any{"Account": account, "Arn": caller.ARN, "UserId": "AROA" + caller.AccessKey + ":" + session}
	answer(w, map[string]any{"GetCallerIdentityResponse": map[string]any{
		"GetCallerIdentityResult": result,
		"ResponseMetadata":        map[string]any{"RequestId": "local"},
	}})
}

func answer(w http.ResponseWriter, body any) {
	_ = json.NewEncoder(w).Encode(body)
}

// caller is whoever signed a request.
func (s *sts) caller(r *http.Request) (*identity, *refusal) {
	query := r.URL.Query()
	scope := strings.Split(query.Get("X-Amz-Credential"), "/")
	if len(scope) != 5 || scope[3] != "sts" || scope[4] != "aws4_request" {
		return nil, refuse("IncompleteSignature", "the credential has no scope of STS")
	}
	host := strings.Split(r.Host, ".")
	if len(host) < 4 || host[1] != scope[2] {
		return nil, refuse("SignatureDoesNotMatch", "Credential should be scoped to a valid region.")
	}
	known, ok := s.identities[scope[0]]
	// Each partition has keys of its own.
	if !ok || strings.Split(known.ARN, ":")[1] != partition(scope[2]) || known.SessionToken != query.Get("X-Amz-Security-Token") {
		return nil, refuse("InvalidClientTokenId", "The security token included in the request is invalid")
	}
	date, err := time.Parse(dateFormat, query.Get("X-Amz-Date"))
	if err != nil || date.Format("20060102") != scope[1] {
		return nil, refuse("IncompleteSignature", "Date in Credential scope does not match X-Amz-Date")
	}
	if age := s.now().Sub(date); age > life || age < -skew {
		return nil, refuse("SignatureDoesNotMatch", "Signature expired: it is %s old", age.Round(time.Second))
	}
	expected, no := signature(r, query, known.SecretKey, scope)
	if no != nil {
		return nil, no
	}
	if !hmac.Equal([]byte(expected), []byte(query.Get("X-Amz-Signature"))) {
		return nil, refuse("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
	}
	return &known, nil
}

func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// signature is that of a request of which all but the signature is given.
func signature(r *http.Request, query url.Values, secret string, scope []string) (string, *refusal) {
	signed := strings.Split(query.Get("X-Amz-SignedHeaders"), ";")
	if !slices.Contains(signed, "host") || !slices.IsSorted(signed) {
		return "", refuse("IncompleteSignature", "the host is not signed, or the headers have no order")
	}
	unsigned := url.Values{}
	for name, values := range query {
		if name != "X-Amz-Signature" {
			unsigned[name] = values
		}
	}
	// Encode sorts by name; only its spaces are not those of RFC 3986.
	lines := []string{r.Method, r.URL.EscapedPath(), strings.ReplaceAll(unsigned.Encode(), "+", "%20")}
	for _, name := range signed {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		lines = append(lines, name+":"+strings.TrimSpace(value))
	}
	lines = append(lines, "", strings.Join(signed, ";"), digest(""))
	text := strings.Join([]string{
		"AWS4-HMAC-SHA256", query.Get("X-Amz-Date"), strings.Join(scope[1:], "/"), digest(strings.Join(lines, "\n")),
	}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range scope[1:] {
		key = mac(key, part)
	}
	return hex.EncodeToString(mac(key, text)), nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
