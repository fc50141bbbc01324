package server

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hufu/idp"
)

// Config is everything an operator sets for one process. What can be changed while people use the service is not
// here but in the policy document. The tags are the only description of a key: flags, environment, file and
// docs/configuration.md are derived from them (see Fields).
type Config struct {
	Listen   string         `config:"listen" default:"127.0.0.1:8080" help:"Address and port to listen on; an empty host listens on all addresses."`
	Issuer   string         `config:"issuer" default:"http://localhost:8080" help:"The URL that users and clients reach the service at. Links, cookies, metadata and tokens come from it, never from a request. https, except on a loopback host; no path."`
	Operator string         `config:"operator" default:"示范收单" help:"Name of the operating company, shown on every page and in authenticator apps."`
	DataDir  string         `config:"data_dir" default:"data" help:"Folder for the files that have no place of their own."`
	Timezone string         `config:"timezone" default:"Asia/Shanghai" help:"Time zone in which pages and messages show times."`
	Demo     bool           `config:"demo" default:"false" help:"Demonstration world: made-up people and merchants, a message tray in place of mail and SMS. Loopback only."`
	Database DatabaseConfig `config:"database"`
	Key      KeyConfig      `config:"key"`
	TLS      TLSConfig      `config:"tls"`
	Proxies  []netip.Prefix `config:"proxies" default:"" help:"Networks of reverse proxies. X-Forwarded-For and X-Forwarded-Proto count only from these."`
	Log      LogConfig      `config:"log"`
	Limits   LimitsConfig   `config:"limits"`
	Mail     MailConfig     `config:"mail"`
	SMS      SMSConfig      `config:"sms"`
	Places   PlacesConfig   `config:"places"`
	WebAuthn WebAuthnConfig `config:"webauthn"`
	Password PasswordConfig `config:"passwords"`
}

// DatabaseConfig says where state is kept.
type DatabaseConfig struct {
	DSN idp.Secret `config:"dsn" default:"sqlite:{data_dir}/hufu.db" secret:"true" help:"sqlite:FILE, or postgres://USER:PASSWORD@HOST:PORT/NAME; several hosts may stand with commas between, the writable one is used."`
}

// KeyConfig says where the key ring comes from that seals values at rest. Value wins over File.
type KeyConfig struct {
	File  string     `config:"file" default:"{data_dir}/hufu.key" help:"Key file, made by 'hufu key new FILE', readable by its owner only. The demonstration world makes it when it is absent."`
	Value idp.Secret `config:"value" env:"HUFU_KEY" secret:"true" help:"The content of a key file; wins over key.file."`
}

// TLSConfig names the certificate; without one the service speaks plain HTTP.
type TLSConfig struct {
	CertFile   string `config:"cert_file" help:"Certificate chain in PEM form; read again when it changes."`
	KeyFile    string `config:"key_file" help:"Private key of the certificate in PEM form; read again when it changes."`
	MinVersion string `config:"min_version" default:"1.2" help:"Oldest TLS version accepted: 1.2 or 1.3."`
}

// LogConfig shapes the log on standard error.
type LogConfig struct {
	Level  string `config:"level" default:"info" help:"Least important lines to write: debug, info, warn or error."`
	Format string `config:"format" default:"json" help:"json or text."`
}

// LimitsConfig bounds what one network may ask of one process before it has a session.
type LimitsConfig struct {
	BodyBytes         int64 `config:"body_bytes" default:"65536" help:"Largest request body, in bytes; a policy document or a list of merchants that is pasted into the console may have 4 MiB."`
	RequestsPerMinute int   `config:"requests_per_minute" default:"600" demo:"3000" help:"Requests without a session, per network and minute; as many again to the token endpoint."`
	FlowsPerMinute    int   `config:"flows_per_minute" default:"60" demo:"300" help:"Flows (sign-ins and the like) opened, per network and minute."`
}

// MailConfig names the server that takes mail for delivery.
type MailConfig struct {
	Host     string     `config:"host" help:"Host of the SMTP submission server. Without one, mail stays in the outbox."`
	Port     int        `config:"port" default:"587" help:"Its port: 587 for starttls, 465 for tls."`
	User     string     `config:"user" help:"Login name there; without one, none is given."`
	Password idp.Secret `config:"password" secret:"true" help:"Password there."`
	From     string     `config:"from" help:"Sender of all mail: an address, or a name and an address in angle brackets."`
	TLS      string     `config:"tls" default:"starttls" help:"starttls (demanded, never only tried), tls (from the first byte), or none, on a loopback host only."`
}

// SMSConfig names the gateway that takes text messages; docs/messages.md says what each needs.
type SMSConfig struct {
	Sender    string     `config:"sender" help:"alibaba, tencent, https or file. Without one, text messages stay in the outbox."`
	KeyID     string     `config:"key_id" help:"alibaba: AccessKey ID; tencent: SecretId."`
	KeySecret idp.Secret `config:"key_secret" secret:"true" help:"alibaba: AccessKey secret; tencent: SecretKey; https: the key that signs requests, at least 16 characters."`
	SignName  string     `config:"sign_name" help:"alibaba, tencent: the approved signature, without brackets."`
	Templates string     `config:"templates" help:"alibaba, tencent: file with the approved templates, one a line."`
	AppID     string     `config:"app_id" help:"tencent: SmsSdkAppId."`
	Region    string     `config:"region" default:"ap-guangzhou" help:"tencent: region."`
	URL       string     `config:"url" help:"https: address of the gateway; alibaba, tencent: another endpoint than the usual one. https, except on a loopback host."`
	Secret    idp.Secret `config:"secret" secret:"true" help:"https: the bearer token of requests."`
	File      string     `config:"file" help:"file: text messages are appended to it, one JSON object a line."`
}

// PlacesConfig names the database of places.
type PlacesConfig struct {
	File string `config:"file" help:"Database in MaxMind's format that says roughly where an address is. Read at start. Without one, no place is known."`
}

// WebAuthnConfig says for whom passkeys are; changing the id makes all of them useless.
type WebAuthnConfig struct {
	ID               string   `config:"id" help:"Relying party id of passkeys: the host of the issuer if empty, or a domain that it lies in."`
	Origins          []string `config:"origins" help:"Origins that passkeys may be used at: the issuer if empty. Those outside of webauthn.id are published as related origins."`
	AndroidKeyHashes []string `config:"android_key_hashes" help:"Signing certificates of Android apps that may use passkeys: SHA-256 in base64url."`
	Metadata         string   `config:"metadata" help:"FIDO metadata file (MDS3 blob) with names and roots of authenticators."`
}

// PasswordConfig names what new passwords are compared with.
type PasswordConfig struct {
	BreachFile string `config:"breach_file" help:"File of leaked passwords: SHA-1 hashes in hexadecimal, one a line, sorted. Searched where it lies, in constant memory. Without one, only the common passwords that ship with the program are refused."`
}

// Problem is one thing wrong with the configuration. Value is empty for secrets.
type Problem struct{ Field, From, Value, Want string }

func (p Problem) String() string {
	from := ""
	if p.From != "" {
		from = " (from " + p.From + ")"
	}
	if p.Value == "" {
		return fmt.Sprintf("%s%s: expected %s", p.Field, from, p.Want)
	}
	return fmt.Sprintf("%s%s: is %q, expected %s", p.Field, from, p.Value, p.Want)
}

// Problems is the error of a configuration that cannot be used: all that is wrong with it, one a line.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return "configuration:\n  " + strings.Join(lines, "\n  ")
}

// Validate reports every value that cannot be used, in the order of the fields. It looks at values only, not at
// files or networks.
func (c Config) Validate() Problems {
	var ps Problems
	check := func(ok bool, field, value, want string) {
		if !ok {
			ps = append(ps, Problem{Field: field, Value: value, Want: want})
		}
	}
	check(isListen(c.Listen), "listen", c.Listen, "HOST:PORT, such as 127.0.0.1:8080 or :8080")
	ps = append(ps, c.issuerProblems()...)
	check(isName(c.Operator), "operator", c.Operator, "a name of 1 to 64 characters on one line")
	check(c.DataDir != "", "data_dir", c.DataDir, "a folder")
	_, err := time.LoadLocation(c.Timezone)
	check(err == nil && c.Timezone != "" && c.Timezone != "Local", "timezone", c.Timezone, "a name of the IANA time zone database, such as Asia/Shanghai")
	check(!c.Demo || isLoopback(listenHost(c.Listen)), "listen", c.Listen, "a loopback address, because demo is on")
	check(!c.Demo || isLoopback(issuerHost(c.Issuer)), "issuer", c.Issuer, "a loopback host, because demo is on")
	check(isDSN(c.Database.DSN.Reveal()), "database.dsn", "", "sqlite:FILE or postgres://…")
	check(c.Key.File != "" || c.Key.Value != "", "key.file", c.Key.File, "a file, or the key itself in HUFU_KEY")
	check((c.TLS.CertFile == "") == (c.TLS.KeyFile == ""), "tls", "", "cert_file and key_file together, or neither")
	check(slices.Contains([]string{"1.2", "1.3"}, c.TLS.MinVersion), "tls.min_version", c.TLS.MinVersion, "1.2 or 1.3")
	for _, p := range c.Proxies {
		check(p.IsValid() && p.Bits() > 0, "proxies", p.String(), "a network of your own, not every address there is")
	}
	check(slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level), "log.level", c.Log.Level, "debug, info, warn or error")
	check(slices.Contains([]string{"json", "text"}, c.Log.Format), "log.format", c.Log.Format, "json or text")
	ps = append(ps, c.Limits.problems()...)
	ps = append(ps, c.Mail.problems()...)
	ps = append(ps, c.SMS.problems()...)
	return append(ps, c.webAuthnProblems()...)
}

func (l LimitsConfig) problems() Problems {
	var ps Problems
	within := func(n, low, high int64, field string) {
		if n < low || n > high {
			ps = append(ps, Problem{Field: field, Value: fmt.Sprint(n), Want: fmt.Sprintf("a number from %d to %d", low, high)})
		}
	}
	within(l.BodyBytes, 4<<10, 16<<20, "limits.body_bytes")
	within(int64(l.RequestsPerMinute), 1, 1e6, "limits.requests_per_minute")
	within(int64(l.FlowsPerMinute), 1, 1e6, "limits.flows_per_minute")
	return ps
}

// Location is the time zone that pages and messages show; Validate has seen that it exists.
func (c Config) Location() *time.Location {
	if zone, err := time.LoadLocation(c.Timezone); err == nil {
		return zone
	}
	return time.UTC
}

// Secure says whether people reach the service by https: cookies get __Host- names and answers HSTS.
func (c Config) Secure() bool { return strings.HasPrefix(c.Issuer, "https://") }

func (c Config) issuerProblems() Problems {
	wrong := func(want string) Problems {
		return Problems{{Field: "issuer", Value: c.Issuer, Want: want}}
	}
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || u.User != nil || !isHost(u.Hostname()) {
		return wrong("a URL such as https://id.example.com")
	}
	// RFC 8414 section 2 and RFC 9207 compare the issuer as a string: one spelling only.
	if c.Issuer != u.Scheme+"://"+u.Host {
		return wrong("scheme and host only, in lower case: no path, query, fragment or slash at the end")
	}
	if !isPort(u) {
		return wrong("no port, or one other than the default of its scheme")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return wrong("https; http is for loopback hosts only")
	}
	if u.Scheme == "http" && c.TLS.CertFile != "" {
		return wrong("https, because tls.cert_file is set")
	}
	return nil
}

func isPort(u *url.URL) bool {
	port := u.Port()
	if port == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	defaultPort := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	return port != defaultPort && port != "0" && isPortNumber(port)
}

func isPortNumber(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && s == fmt.Sprint(n)
}

// isHost accepts an IP address or a DNS name in lower case; international names stand in their xn-- form.
func isHost(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == ""
	}
	for label := range strings.SplitSeq(host, ".") {
		bad := strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-")
		if label == "" || bad != "" || label[0] == '-' || label[len(label)-1] == '-' || len(label) > 63 {
			return false
		}
	}
	return len(host) <= 253
}

func isListen(listen string) bool {
	host, port, err := net.SplitHostPort(listen)
	return err == nil && isPortNumber(port) && (host == "" || isHost(host))
}

func listenHost(listen string) string {
	host, _, _ := net.SplitHostPort(listen)
	return host
}

func issuerHost(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// isLoopback knows a host by its spelling: what a name resolves to may change.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

func isName(s string) bool {
	n := utf8.RuneCountInString(s)
	return utf8.ValidString(s) && n >= 1 && n <= 64 && strings.TrimSpace(s) == s &&
		strings.IndexFunc(s, func(r rune) bool {
			return unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
		}) < 0
}

func isDSN(dsn string) bool {
	for _, prefix := range []string{"sqlite:", "postgres://", "postgresql://"} {
		if rest, ok := strings.CutPrefix(dsn, prefix); ok {
			return rest != ""
		}
	}
	return false
}
