package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hufu/flows/factor/backup"
	"hufu/flows/factor/totp"
	"hufu/idp"
	"hufu/idp/phc"
	"hufu/idp/policy"
	"hufu/storage"
	"hufu/templates"
)

// world is the demonstration world: what data/demo.json holds, field by field.
type world struct {
	Issuer    string                  `json:"issuer"`
	Clients   map[string]demoClient   `json:"clients"`
	Users     map[string]demoUser     `json:"users"`
	Merchant  demoMerchant            `json:"merchant"`
	Terminals map[string]demoTerminal `json:"terminals"`

	file string
}

type demoClient struct {
	ClientID   string `json:"client_id"`
	Secret     string `json:"client_secret,omitempty"`
	Redirect   string `json:"redirect_uri,omitempty"`
	PostLogout string `json:"post_logout_redirect_uri,omitempty"`
}

type demoUser struct {
	Username      string   `json:"username"`
	Phone         string   `json:"phone"`
	Email         string   `json:"email"`
	Password      string   `json:"password"`
	TOTPSecret    *string  `json:"totp_secret"`
	RecoveryCodes []string `json:"recovery_codes"`
	DocumentTail  string   `json:"document_tail,omitempty"` // what the owner tells support
	Birthday      string   `json:"birthday,omitempty"`
}

type demoMerchant struct {
	MerchantNo string `json:"merchant_no"`
	Tier       string `json:"tier"`
}

type demoTerminal struct {
	Serial string `json:"serial"`
}

// people of the world: key, user name, name, role, whether they hold a TOTP.
var demoPeople = []struct {
	key, username, name string
	role                idp.Role
	totp                bool
	shift               string // of the operator's: the two who decide a case are of two
}{
	{"owner", "lin.wei", "林薇", idp.RoleOwner, true, ""},
	{"manager", "wang.zq", "王志强", idp.RoleManager, true, ""},
	{"cashier", "chen.xy", "陈小燕", idp.RoleCashier, false, ""},
	{"policy_admin", "he.min", "何敏", idp.RolePolicyAdmin, true, "早班"},
	{"policy_admin_2", "zhou.ning", "周宁", idp.RolePolicyAdmin, true, "中班"},
	{"support_agent", "fang.qing", "方晴", idp.RoleSupportAgent, true, "早班"},
	{"support_supervisor", "luo.bin", "罗斌", idp.RoleSupportSupervisor, true, "晚班"},
	{"auditor", "shen.yi", "沈仪", idp.RoleAuditor, true, ""},
}

var demoDevices = []struct {
	kind         idp.TerminalKind
	model, start string
}{{idp.TerminalESign, "HF-E20", "HFE20"}, {idp.TerminalTraditional, "HF-T58", "HFT58"}, {idp.TerminalSmart, "HF-S9", "HFS9"}}

const (
	demoMerchantNo = "822290059430001"
	demoCallback   = "http://localhost:8081/callback"
	demoHome       = "http://localhost:8081/"
	terminalURL    = "http://localhost:8082/"
	deviceGrant    = "urn:ietf:params:oauth:grant-type:device_code"
)

// openWorld reads the world of an earlier start, or makes it with fresh secrets.
func openWorld(ctx context.Context, store *storage.Store, hasher *phc.Hasher, cfg Config) (*world, error) {
	w := &world{file: filepath.Join(cfg.DataDir, "demo.json")}
	found, err := store.Merchants(ctx, "", demoMerchantNo, "", 1)
	if err != nil {
		return nil, err
	}
	text, rerr := os.ReadFile(w.file)
	switch {
	case len(found) == 0:
		return w, w.make(ctx, store, hasher, cfg)
	case rerr != nil:
		return nil, fmt.Errorf("demo: the database holds the demonstration world but %s cannot be read (%w): delete the database and start again", w.file, rerr)
	}
	if err := json.Unmarshal(text, w); err != nil {
		return nil, fmt.Errorf("demo: %s: %w", w.file, err)
	}
	if w.Issuer != cfg.Issuer {
		w.Issuer = cfg.Issuer
		return w, w.write()
	}
	return w, nil
}

// refuseWorld keeps the made-up people of a demonstration, whose passwords lie in a
// file, from working anywhere else.
func refuseWorld(ctx context.Context, store *storage.Store) error {
	made, err := store.Events(ctx, storage.EventFilter{Name: "config.demo"}, 1)
	if err == nil && len(made) > 0 {
		err = errors.New("database: it holds the demonstration world; start with --demo, or name another database (database.dsn) or folder (data_dir)")
	}
	return err
}

// make fills an empty database and writes the file. The file comes first: what is
// in the database can then be signed in to.
func (w *world) make(ctx context.Context, store *storage.Store, hasher *phc.Hasher, cfg Config) error {
	w.Issuer, w.Merchant = cfg.Issuer, demoMerchant{MerchantNo: demoMerchantNo, Tier: string(idp.TierStandard)}
	w.Clients, w.Users, w.Terminals = map[string]demoClient{}, map[string]demoUser{}, map[string]demoTerminal{}
	hashes := map[string]string{}
	papers := map[string][]byte{} // recovery codes, hashed: the owner's
	for i, p := range demoPeople {
		u := demoUser{Username: p.username, Phone: fmt.Sprintf("+86138000000%02d", i+1), Email: p.username + "@example.com", Password: demoPassword(), RecoveryCodes: []string{}}
		if p.totp {
			secret, err := totp.SecretOf(totp.NewSecret())
			if err != nil {
				return err
			}
			u.TOTPSecret = &secret
		}
		if p.role == idp.RoleOwner {
			u.DocumentTail, u.Birthday = digits(6), demoBirthday()
			u.RecoveryCodes = backup.NewSet(policy.Default().Paper.Count)
			sealed, err := backup.Seal(ctx, hasher, u.RecoveryCodes)
			if err != nil {
				return err
			}
			papers[p.key] = sealed
		}
		hash, err := hasher.Hash(ctx, u.Password)
		if err != nil {
			return err
		}
		w.Users[p.key], hashes[p.key] = u, hash
	}
	for _, d := range demoDevices {
		w.Terminals[string(d.kind)] = demoTerminal{Serial: d.start + digits(8)}
	}
	clients := w.clients()
	if err := w.write(); err != nil {
		return err
	}
	return store.Tx(ctx, func(ctx context.Context) error {
		for i := range clients {
			if err := store.CreateClient(ctx, &clients[i]); err != nil {
				return err
			}
		}
		m := idp.Merchant{No: demoMerchantNo, LegalName: "林记小馆", Tier: idp.TierStandard, Status: idp.MerchantActive}
		if err := store.CreateMerchant(ctx, &m); err != nil {
			return err
		}
		st := idp.Store{MerchantID: m.ID, Name: "鼓楼店", Place: "福建福州"}
		if err := store.CreateStore(ctx, &st); err != nil {
			return err
		}
		for _, d := range demoDevices {
			now := time.Now()
			t := idp.Terminal{Serial: w.Terminals[string(d.kind)].Serial, Model: d.model, Kind: d.kind, MerchantID: m.ID, StoreID: st.ID, State: idp.TerminalActive, ActivatedAt: now, LastSeenAt: now}
			if err := store.CreateTerminal(ctx, &t); err != nil {
				return err
			}
		}
		for _, p := range demoPeople {
			if err := w.person(ctx, store, p.key, idp.User{Name: p.name, Role: p.role, Team: p.shift}, m.ID, st.ID, hashes[p.key], papers[p.key]); err != nil {
				return err
			}
		}
		return store.Append(ctx, idp.Event{Name: "config.demo", Actor: "system"})
	})
}

// person makes one of the people. What he holds is a month old: what was bound lately proves
// nothing, and here recovery is to be seen.
func (w *world) person(ctx context.Context, store *storage.Store, key string, u idp.User, merchant, shop, hash string, paper []byte) error {
	now, d := time.Now(), w.Users[key]
	since := now.AddDate(0, -1, 0)
	u.Language, u.GraceFrom = "zh-CN", now
	names := []idp.Identifier{{Kind: idp.IdentifierUsername, Value: d.Username}, {Kind: idp.IdentifierPhone, Value: d.Phone, VerifiedAt: since}, {Kind: idp.IdentifierEmail, Value: d.Email, VerifiedAt: since}}
	creds := []idp.Credential{{Method: idp.MethodPassword, Data: []byte(hash), CreatedAt: since}}
	if paper != nil {
		creds = append(creds, idp.Credential{Method: idp.MethodBackup, Data: paper, CreatedAt: since})
	}
	if d.TOTPSecret != nil {
		creds = append(creds, idp.Credential{Method: idp.MethodTOTP, Data: totp.Data(*d.TOTPSecret), CreatedAt: since})
	}
	if !u.Role.Operator() {
		u.MerchantID = merchant
	}
	switch u.Role {
	case idp.RoleOwner:
		names = append(names, idp.Identifier{Kind: idp.IdentifierMerchantNo, Value: demoMerchantNo})
	case idp.RoleManager, idp.RoleCashier:
		u.StoreID = shop
	}
	made := []storage.Seeded{{User: u, Names: names, Creds: creds}}
	if err := store.Seed(ctx, made, since); err != nil {
		return err
	}
	for fact, runs := range map[string][]string{policy.FactBirthday: ends(d.Birthday, 8, 4), policy.FactDocumentTail: ends(d.DocumentTail, 6, 4)} {
		for _, run := range runs {
			if err := store.SetEvidence(ctx, made[0].User.ID, policy.EvidenceKind(fact, run), run, since); err != nil {
				return err
			}
		}
	}
	return nil
}

// clients makes the four applications of the world and their secrets.
func (w *world) clients() []idp.Client {
	app := []string{"openid", "profile", "phone", "email", "offline_access", "merchant", "payments:read", "payments:refund", "settlement:manage"}
	code := []string{"authorization_code", "refresh_token"}
	web, settlement := idp.NewToken(), idp.NewToken()
	w.Clients["merchant_app"] = demoClient{ClientID: "merchant-app", Redirect: demoCallback, PostLogout: demoHome}
	w.Clients["merchant_web"] = demoClient{ClientID: "merchant-web", Secret: web, Redirect: demoCallback, PostLogout: demoHome}
	w.Clients["settlement"] = demoClient{ClientID: "settlement", Secret: settlement}
	w.Clients["terminal"] = demoClient{ClientID: "terminal"}
	return []idp.Client{
		{ID: "merchant-app", Name: "商户 App", Redirects: []string{demoCallback}, PostLogout: []string{demoHome}, Grants: code, Scopes: app,
			Audience: []string{"merchant-app", "settlement"}, FirstParty: true, AnyPort: true},
		{ID: "merchant-web", Name: "商户网页", SecretHashes: [][]byte{hashOf(web)}, Redirects: []string{demoCallback}, PostLogout: []string{demoHome}, Grants: code, Scopes: app,
			Audience: []string{"merchant-web", "settlement"}, FirstParty: true, AnyPort: true},
		{ID: "settlement", Name: "清算服务", SecretHashes: [][]byte{hashOf(settlement)}, Grants: []string{"client_credentials"}, Scopes: []string{"payments:read", "settlement:manage"},
			Audience: []string{"settlement"}, FirstParty: true},
		{ID: "terminal", Name: "收银终端", Grants: []string{deviceGrant, "refresh_token"}, Scopes: []string{"openid", "profile", "offline_access", "merchant", "terminal", "payments:read"},
			Audience: []string{"terminal"}, FirstParty: true},
	}
}

func hashOf(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}

func (w *world) write() error {
	text, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		return err
	}
	tmp := w.file + ".new"
	if err := os.WriteFile(tmp, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := errors.Join(os.Chmod(tmp, 0o600), os.Rename(tmp, w.file)); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// demoPassword is 80 random bits that can be typed: four groups of four letters.
func demoPassword() string {
	var b [10]byte
	_, _ = rand.Read(b[:])
	s := strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
	return s[:4] + "-" + s[4:8] + "-" + s[8:12] + "-" + s[12:]
}

// ends are the last characters of a text, so many each; none of an empty one.
func ends(s string, lengths ...int) (list []string) {
	for _, n := range lengths {
		if s != "" {
			list = append(list, s[len(s)-n:])
		}
	}
	return list
}

// demoBirthday is a day of the eighties.
func demoBirthday() string {
	var b [2]byte
	_, _ = rand.Read(b[:])
	return time.Date(1980, 1, 1+(int(b[0])<<8|int(b[1]))%3650, 0, 0, 0, 0, time.UTC).Format("20060102")
}

func digits(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = '0' + b[i]%10
	}
	return string(b)
}

// start draws who can sign in where.
func (w *world) start(rw http.ResponseWriter, r *http.Request, s *Server) error {
	messages, err := s.Store.Messages(r.Context(), trayMost)
	if err != nil {
		return err
	}
	p := templates.Start{MerchantAppURL: demoHome, TerminalURL: terminalURL, MessagesURL: "/dev/messages", Messages: len(messages), DataFile: w.file,
		OwnerLogin: w.Users["owner"].Username, AdminLogin: w.Users["policy_admin"].Username}
	for _, d := range demoPeople {
		a := templates.DemoAccount{RoleKey: "role." + string(d.role), Login: d.username, WhereKeys: []string{"where.console"}, SecondKey: "second.totp"}
		if !d.role.Operator() {
			a.WhereKeys = []string{"where.merchant_app", "where.terminal"}
			if d.role != idp.RoleCashier {
				a.WhereKeys = append(a.WhereKeys, "where.console")
			}
		}
		if !d.totp {
			a.SecondKey = "second.none"
		}
		p.Accounts = append(p.Accounts, a)
	}
	for _, key := range []string{"merchant_app", "merchant_web", "settlement", "terminal"} {
		c := w.Clients[key]
		kind := "client.public"
		if c.Secret != "" {
			kind = "client.confidential"
		}
		p.Clients = append(p.Clients, templates.DemoClient{ID: c.ClientID, KindKey: kind, Redirect: c.Redirect})
	}
	return s.site.Write(rw, r, http.StatusOK, p)
}

const trayMost = 100

// messages is the tray: what mail and SMS would have been sent.
func (s *Server) messages(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Store.Messages(r.Context(), trayMost)
	if err != nil {
		return err
	}
	var p templates.Messages
	for _, m := range all {
		p.Items = append(p.Items, templates.MessageRow{At: m.CreatedAt, ChannelKey: "channel." + string(m.Channel), To: m.To, Subject: m.Subject, Text: m.Body})
	}
	return s.site.Write(w, r, http.StatusOK, p)
}
