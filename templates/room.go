package templates

import "time"

// Pages of the room: the start page of the demonstration, one's own account, the message tray.

// Start shows the three roads of the demonstration world.
type Start struct {
	Accounts                    []DemoAccount
	MerchantAppURL, TerminalURL string
	ConsoleURL                  string // "" is /console
	MessagesURL                 string // "" offers no message tray
	Messages                    int    // in the tray
	OwnerLogin, AdminLogin      string // whom roads 1 and 3 are walked with
	DataFile                    string // holds the passwords; "" is data/demo.json
	Clients                     []DemoClient
}

// DemoAccount is one person who can sign in. The keys are catalogue keys.
type DemoAccount struct {
	RoleKey, Login string
	WhereKeys      []string // where.merchant_app, where.terminal, where.console
	SecondKey      string   // second.totp, second.none
}

// DemoClient is one application that is registered, for developers. KindKey: client.public, client.confidential.
type DemoClient struct{ ID, KindKey, Redirect string }

// Endpoints are what developers look for first, below the issuer.
func (Start) Endpoints() []string {
	return []string{"/.well-known/openid-configuration", "/authorize", "/token", "/userinfo", "/device_authorization", "/jwks"}
}

// Messages is the tray of the demonstration: what would have been sent.
type Messages struct{ Items []MessageRow }

// MessageRow is one mail or text message. ChannelKey: channel.sms, channel.mail.
type MessageRow struct {
	At                            time.Time
	ChannelKey, To, Subject, Text string
}

func (Start) Page() string    { return "start" }
func (Messages) Page() string { return "messages" }
