package main

import (
	"encoding/json"
	"log/slog"
	"net/http"

	authentication "k8s.io/api/authentication/v1"
	"sigs.k8s.io/aws-iam-authenticator/pkg/token"
)

// review answers an API server that asks whose a token is.
type review struct {
	verifier token.Verifier
	// groups by the ARN of the role.
	groups map[string][]string
	log    *slog.Logger
}

func (h *review) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked authentication.TokenReview
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, "expected a TokenReview", http.StatusBadRequest)
		return
	}
	said := authentication.TokenReview{TypeMeta: asked.TypeMeta, Status: h.status(asked.Spec.Token)}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(said)
}

// status is who the token's owner is. The log names a token by its digest, so
// that a test finds why its own was refused.
func (h *review) status(text string) authentication.TokenReviewStatus {
	log := h.log.With("token", digest(text)[:16])
	who, err := h.verifier.Verify(text)
	if err != nil {
		log.Info("refused", "why", err.Error())
		return authentication.TokenReviewStatus{Error: err.Error()}
	}
	groups, ok := h.groups[who.CanonicalARN]
	if !ok {
		log.Info("refused", "why", "no access entry for "+who.CanonicalARN)
		return authentication.TokenReviewStatus{}
	}
	log.Info("let in", "arn", who.ARN, "groups", groups)
	// An access entry that names no user makes it the caller's ARN.
	user := authentication.UserInfo{Username: who.ARN, UID: who.UserID, Groups: groups}
	return authentication.TokenReviewStatus{Authenticated: true, User: user}
}
