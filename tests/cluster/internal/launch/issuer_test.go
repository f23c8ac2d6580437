package launch

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTheIssuerKeepsItsNameAndIsLookedForHere(t *testing.T) {
	f := &jwtFile{}
	body := `{"authentication":{"jwt":[{"issuer":{"url":"https://issuer.example","audiences":["a"]}}]},"keys":{"keys":[]}}`
	if err := json.Unmarshal([]byte(body), f); err != nil {
		t.Fatal(err)
	}
	name, err := f.lookHere("PEM")
	if err != nil || name != "https://issuer.example" {
		t.Fatalf("%q, %v", name, err)
	}
	said, err := json.Marshal(f.Authentication)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"url":"https://issuer.example"`, `"discoveryURL":"https://127.0.0.1:21363/`, `"certificateAuthority":"PEM"`, `"audiences":["a"]`} {
		if !strings.Contains(string(said), part) {
			t.Errorf("no %s in %s", part, said)
		}
	}
}

func TestAFileWithoutAnIssuerIsRefused(t *testing.T) {
	for _, body := range []string{`{}`, `{"jwt":[]}`, `{"jwt":[{}]}`, `{"jwt":[{"issuer":{}}]}`, `{"jwt":["x"]}`} {
		f := &jwtFile{}
		if err := json.Unmarshal([]byte(body), &f.Authentication); err != nil {
			t.Fatal(err)
		}
		if _, err := f.lookHere("PEM"); err == nil || !strings.Contains(err.Error(), "expected") {
			t.Errorf("%s: %v", body, err)
		}
	}
}
