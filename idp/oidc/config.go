package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/go-jose/go-jose/v3" // the version in fosite's interfaces; nothing is parsed with it
	"github.com/hashicorp/go-retryablehttp"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
)

// newFosite sets every value that fosite would fill in later by itself, and lists
// the handlers by hand, in the order they must run: who redeems, then PKCE, then
// the ID token, which needs the access token.
func (p *Provider) newFosite() *fosite.Fosite {
	store, strategy := adapter{p}, strategy{p}
	config := &fosite.Config{
		AccessTokenLifespan: p.Policy.Now().Tokens.Access, IDTokenLifespan: p.Policy.Now().Tokens.ID, AuthorizeCodeLifespan: p.Policy.Now().Tokens.Code,
		RefreshTokenLifespan: -1, // of the grant's class, see refreshEnd
		IDTokenIssuer:        p.Issuer, AccessTokenIssuer: p.Issuer,
		EnforcePKCE: true, EnforcePKCEForPublicClients: true,
		RefreshTokenScopes:            []string{"offline_access"},
		ScopeStrategy:                 fosite.ExactScopeStrategy,
		AudienceMatchingStrategy:      fosite.ExactAudienceMatchingStrategy,
		ClientAuthenticationStrategy:  p.authenticateFor,
		ClientSecretsHasher:           noHasher{},
		JWKSFetcherStrategy:           noFetcher{},
		HTTPClient:                    offline(),
		RedirectSecureChecker:         func(context.Context, *url.URL) bool { return true }, // checked letter for letter before
		OmitRedirectScopeParam:        true,
		SanitationWhiteList:           []string{"redirect_uri", "code_challenge", "code_challenge_method", "nonce"},
		TokenURL:                      p.Issuer + "/token",
		MinParameterEntropy:           1,
		FormPostHTMLTemplate:          fosite.DefaultFormPostTemplate,
		GlobalSecret:                  nil, // no HMAC tokens
		SendDebugMessagesToClients:    false,
		IsPushedAuthorizeEnforced:     false,
		GrantTypeJWTBearerIDOptional:  false,
		GrantTypeJWTBearerMaxDuration: p.Policy.Now().Tokens.Assertion,
	}
	code := &oauth2.AuthorizeExplicitGrantHandler{AccessTokenStrategy: strategy, RefreshTokenStrategy: strategy, AuthorizeCodeStrategy: strategy,
		CoreStorage: store, TokenRevocationStorage: store, Config: config}
	config.AuthorizeEndpointHandlers = fosite.AuthorizeEndpointHandlers{code, issuerParam{p}}
	config.TokenEndpointHandlers = fosite.TokenEndpointHandlers{
		&proofHandler{p},
		code,
		&refreshHandler{p},
		&deviceHandler{p},
		&clientCredentials{p: p, ClientCredentialsGrantHandler: &oauth2.ClientCredentialsGrantHandler{
			HandleHelper: &oauth2.HandleHelper{AccessTokenStrategy: strategy, AccessTokenStorage: store, Config: config}, Config: config}},
		pkce{},
		&idTokenHandler{p},
	}
	return fosite.NewOAuth2Provider(store, config)
}

var errOffline = errors.New("oidc: fosite makes no calls and compares no secrets")

// noHasher: secrets are compared in client.go; whatever comes here is refused, an
// empty hash too.
type noHasher struct{}

func (noHasher) Compare(context.Context, []byte, []byte) error { return errOffline }
func (noHasher) Hash(context.Context, []byte) ([]byte, error)  { return nil, errOffline }

// offline is an HTTP client that calls nobody.
func offline() *retryablehttp.Client {
	c := retryablehttp.NewClient()
	c.RetryMax, c.Logger = 0, nil
	c.HTTPClient = &http.Client{Transport: refusing{}}
	return c
}

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, errOffline }

// noFetcher: keys of clients are not fetched from anywhere.
type noFetcher struct{}

func (noFetcher) Resolve(context.Context, string, bool) (*jose.JSONWebKeySet, error) {
	return nil, errOffline
}
