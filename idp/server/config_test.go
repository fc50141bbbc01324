package server

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/configuration.md")

func TestDefaultsAreValid(t *testing.T) {
	for _, demo := range []bool{false, true} {
		c := Defaults("data", demo)
		if ps := c.Validate(); ps != nil {
			t.Errorf("demo %v: %v", demo, ps)
		}
		if got := c.Database.DSN.Reveal(); got != "sqlite:data/hufu.db" {
			t.Errorf("database.dsn is %q", got)
		}
	}
	if c := Defaults("/srv/h", false); c.Key.File != "/srv/h/hufu.key" || c.DataDir != "/srv/h" {
		t.Errorf("data_dir does not move the key file: %+v", c)
	}
	// The demonstration world leaves room for 2,000 requests and 150 sign-ins a minute.
	if c := Defaults("data", true); c.Limits.RequestsPerMinute < 2000 || c.Limits.FlowsPerMinute < 150 {
		t.Errorf("demo limits are %+v", c.Limits)
	}
}

func TestIssuer(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://id.example.com":       "",
		"https://id.example.com:8443":  "",
		"https://xn--fiq228c.example":  "",
		"https://[2001:db8::1]:8443":   "",
		"http://localhost:8080":        "",
		"http://localhost":             "",
		"http://127.0.0.1:1":           "",
		"http://127.9.9.9":             "",
		"http://[::1]:8080":            "",
		"":                             "a URL",
		"id.example.com":               "a URL",
		"https://":                     "a URL",
		"https:id.example.com":         "a URL",
		"https://id.example.com\n":     "a URL",
		"https://身份.example":           "a URL",
		"https://a_b.example":          "a URL",
		"https://-a.example":           "a URL",
		"https://a..example":           "a URL",
		"https://u:p@id.example.com":   "a URL",
		"https://ID.example.com":       "a URL",
		"https://[fe80::1%25eth0]":     "a URL",
		"https://a:b:c":                "a URL",
		"https://id.example.com/":      "scheme and host only",
		"https://id.example.com/idp":   "scheme and host only",
		"https://id.example.com?":      "scheme and host only",
		"https://id.example.com?a=b":   "scheme and host only",
		"https://id.example.com#":      "scheme and host only",
		"https://id.example.com#f":     "scheme and host only",
		"HTTPS://id.example.com":       "scheme and host only",
		"https://id.example.com:443":   "no port",
		"https://id.example.com:":      "no port",
		"https://id.example.com:0":     "no port",
		"https://id.example.com:0443":  "no port",
		"https://id.example.com:70000": "no port",
		"http://localhost:80":          "no port",
		"http://id.example.com":        "http is for loopback",
		"http://localhost.example.com": "http is for loopback",
		"http://128.0.0.1":             "http is for loopback",
		"http://0.0.0.0":               "http is for loopback",
		"ftp://localhost":              "http is for loopback",
	} {
		c := Defaults("data", false)
		c.Issuer = issuer
		expectProblem(t, c, "issuer", issuer, want)
	}
	c := Defaults("data", false)
	c.TLS.CertFile, c.TLS.KeyFile = "c.pem", "k.pem"
	expectProblem(t, c, "issuer", c.Issuer, "because tls.cert_file is set")
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name, field, value, want string
		edit                     func(*Config)
	}{
		{"all addresses", "", "", "", func(c *Config) { c.Listen = ":8080" }},
		{"ipv6", "", "", "", func(c *Config) { c.Listen = "[::1]:0" }},
		{"name", "", "", "", func(c *Config) { c.Listen = "localhost:8080" }},
		{"no port", "listen", "8080", "HOST:PORT", func(c *Config) { c.Listen = "8080" }},
		{"named port", "listen", ":http", "HOST:PORT", func(c *Config) { c.Listen = ":http" }},
		{"big port", "listen", ":65536", "HOST:PORT", func(c *Config) { c.Listen = ":65536" }},
		{"url", "listen", "http://a:1", "HOST:PORT", func(c *Config) { c.Listen = "http://a:1" }},
		{"no operator", "operator", "", "1 to 64", func(c *Config) { c.Operator = "" }},
		{"two lines", "operator", "a\nb", "1 to 64", func(c *Config) { c.Operator = "a\nb" }},
		{"broken text", "operator", "a\xff", "1 to 64", func(c *Config) { c.Operator = "a\xff" }},
		{"no folder", "data_dir", "", "a folder", func(c *Config) { c.DataDir = "" }},
		{"no zone", "timezone", "Asia/Nowhere", "IANA", func(c *Config) { c.Timezone = "Asia/Nowhere" }},
		{"local zone", "timezone", "Local", "IANA", func(c *Config) { c.Timezone = "Local" }},
		{"postgres", "", "", "", func(c *Config) { c.Database.DSN = "postgres://u:p@a:1,b:2/hufu" }},
		{"mysql", "database.dsn", "", "sqlite:FILE", func(c *Config) { c.Database.DSN = "mysql://root:hunter2@h/db" }},
		{"no dsn", "database.dsn", "", "sqlite:FILE", func(c *Config) { c.Database.DSN = "sqlite:" }},
		{"key by value", "", "", "", func(c *Config) { c.Key = KeyConfig{Value: "x"} }},
		{"no key", "key.file", "", "HUFU_KEY", func(c *Config) { c.Key.File = "" }},
		{"half a pair", "tls", "", "together", func(c *Config) { c.TLS.KeyFile = "k.pem" }},
		{"old tls", "tls.min_version", "1.1", "1.2 or 1.3", func(c *Config) { c.TLS.MinVersion = "1.1" }},
		{"whole internet", "proxies", "0.0.0.0/0", "not every address", func(c *Config) { c.Proxies = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} }},
		{"level", "log.level", "loud", "debug, info", func(c *Config) { c.Log.Level = "loud" }},
		{"format", "log.format", "xml", "json or text", func(c *Config) { c.Log.Format = "xml" }},
		{"small body", "limits.body_bytes", "1", "a number from", func(c *Config) { c.Limits.BodyBytes = 1 }},
		{"no requests", "limits.requests_per_minute", "0", "a number from", func(c *Config) { c.Limits.RequestsPerMinute = 0 }},
		{"no flows", "limits.flows_per_minute", "-1", "a number from", func(c *Config) { c.Limits.FlowsPerMinute = -1 }},
		{"demo", "", "", "", func(c *Config) { c.Demo = true }},
		{"open demo", "listen", ":8080", "because demo is on", func(c *Config) { c.Demo, c.Listen = true, ":8080" }},
		{"demo on a network", "listen", "10.0.0.1:8080", "because demo is on", func(c *Config) { c.Demo, c.Listen = true, "10.0.0.1:8080" }},
		{"public demo", "issuer", "https://id.example.com", "because demo is on", func(c *Config) { c.Demo, c.Issuer = true, "https://id.example.com" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Defaults("data", false)
			c.edit(&cfg)
			expectProblem(t, cfg, c.field, c.value, c.want)
			if strings.Contains(fmt.Sprintf("%v %+v %#v %v", cfg, cfg, cfg, cfg.Validate()), "hunter2") {
				t.Error("a secret is printed")
			}
		})
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	c := Defaults("data", false)
	c.Listen, c.Operator, c.Log.Level, c.Issuer = "x", "", "y", "z"
	var fields []string
	for _, p := range c.Validate() {
		fields = append(fields, p.Field)
	}
	if want := []string{"listen", "issuer", "operator", "log.level"}; !slices.Equal(fields, want) {
		t.Errorf("problems of %v, want %v", fields, want)
	}
	want := "configuration:\n  listen: is \"x\", expected HOST:PORT"
	if got := c.Validate().Error(); !strings.HasPrefix(got, want) {
		t.Errorf("error is %q", got)
	}
}

func TestSet(t *testing.T) {
	fields := map[string]Field{}
	for _, f := range Fields() {
		fields[f.Path] = f
	}
	for _, c := range []struct{ path, text, want string }{
		{"demo", "true", ""}, {"demo", "1", ""}, {"demo", "yes", "true or false"}, {"demo", "", "true or false"},
		{"limits.body_bytes", "4096", ""}, {"limits.body_bytes", "64k", "a whole number"},
		{"limits.body_bytes", "99999999999999999999", "a whole number"}, {"limits.flows_per_minute", "1.5", "a whole number"},
		{"proxies", "", ""}, {"proxies", "10.0.0.0/8, ::1,192.0.2.7", ""}, {"proxies", "10.0.0.0/33", "networks"},
		{"proxies", "proxy.local", "networks"}, {"proxies", "::ffff:10.0.0.0/104", "networks"},
		{"key.value", "anything", ""},
	} {
		cfg := Defaults("data", false)
		problem := fields[c.path].Set(&cfg, c.text)
		if (problem == nil) != (c.want == "") {
			t.Errorf("%s = %q: problem %v", c.path, c.text, problem)
		} else if problem != nil && (problem.Field != c.path || problem.Value != c.text || !strings.Contains(problem.Want, c.want)) {
			t.Errorf("%s = %q: problem %v, want %q", c.path, c.text, problem, c.want)
		}
	}
	cfg := Defaults("data", false)
	_ = fields["proxies"].Set(&cfg, "10.1.2.3/8,fe80::1%eth0, 192.0.2.7")
	if got := fmt.Sprint(cfg.Proxies); got != "[10.0.0.0/8 fe80::1/128 192.0.2.7/32]" {
		t.Errorf("networks are %s", got)
	}
}

func TestKeysAreUnambiguous(t *testing.T) {
	seen := map[string]string{}
	for _, f := range Fields() {
		if f.Path == "" || f.Help == "" {
			t.Errorf("%+v lacks its key or its meaning", f)
		}
		for _, name := range []string{f.Path, f.Env, "--" + f.Flag} {
			if name != "--" && seen[name] != "" {
				t.Errorf("%s and %s share the name %s", f.Path, seen[name], name)
			}
			seen[name] = f.Path
		}
	}
}

func FuzzSet(f *testing.F) {
	for _, s := range []string{"", "true", "1", "10.0.0.0/8,::1", "::ffff:1.2.3.4", "https://a", "sqlite:x", ":1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, field := range Fields() {
			cfg := Defaults("data", false)
			if problem := field.Set(&cfg, text); problem != nil && problem.Field != field.Path {
				t.Errorf("%s: problem names %s", field.Path, problem.Field)
			}
			for _, p := range cfg.Validate() {
				if field.Secret && text != "" && p.Value == text {
					t.Errorf("%s: secret printed", field.Path)
				}
			}
			for _, n := range cfg.Proxies {
				if !n.IsValid() || n != n.Masked() {
					t.Errorf("network %v", n)
				}
			}
		}
	})
}

const document = "../../docs/configuration.md"

// TestConfigurationDocument holds docs/configuration.md to the tags. After a change:
//
//	go test ./idp/server -run TestConfigurationDocument -update
func TestConfigurationDocument(t *testing.T) {
	was, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- keys: written by the test of idp/server, from the tags of Config -->\n", "<!-- end of keys -->\n"
	before, rest, ok := bytes.Cut(was, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		t.Fatalf("%s lacks its two marks", document)
	}
	now := slices.Concat(before, []byte(begin), []byte(keysTable()), []byte(end), after)
	if *update {
		if err := os.WriteFile(document, now, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(was, now) {
		t.Errorf("%s is not what the tags of Config say; run: go test ./idp/server -run TestConfigurationDocument -update", document)
	}
}

func keysTable() string {
	var b strings.Builder
	b.WriteString("\n| key | environment | flag | type | default | meaning |\n| --- | --- | --- | --- | --- | --- |\n")
	code := func(s string) string {
		if s == "" {
			return "–"
		}
		return "`" + s + "`"
	}
	for _, f := range Fields() {
		key, flagName, value, kind := code(f.Path), "–", code(f.Default), f.Type
		if f.Flag != "" {
			flagName = code("--" + f.Flag)
		} else {
			key = "–"
		}
		if f.DemoDefault != f.Default {
			value += "; demo " + code(f.DemoDefault)
		}
		if f.Secret {
			kind += ", secret"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", key, code(f.Env), flagName, kind, value, f.Help)
	}
	b.WriteString("\n")
	return b.String()
}

// expectProblem wants exactly one problem, or none when want is empty.
func expectProblem(t *testing.T, c Config, field, value, want string) {
	t.Helper()
	ps := c.Validate()
	if want == "" {
		if ps != nil {
			t.Errorf("%q: %v", value, ps)
		}
		return
	}
	if len(ps) != 1 || ps[0].Field != field || ps[0].Value != value || !strings.Contains(ps[0].Want, want) {
		t.Errorf("%q: %v, want one of %s with %q", value, ps, field, want)
	}
}
