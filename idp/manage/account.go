package manage

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/phc"
	"hufu/idp/policy"
)

// Account is a new account made by whoever holds the server itself: active at
// once, with a password and, if wanted, an authenticator.
type Account struct {
	Username, Name, Phone, Email string
	Role                         idp.Role
	MerchantNo                   string
	Password                     idp.Secret
	TOTP                         bool
}

// AddAccount makes the account and returns the otpauth URI of its authenticator,
// "" without one.
func (m *Manager) AddAccount(ctx context.Context, in Account) (otpauth idp.Secret, err error) {
	var bad checks
	if !in.Role.Valid() {
		bad.add(idp.FieldError("role", "error.choose"))
	}
	if in.Name == "" {
		in.Name = in.Username
	}
	u := idp.User{Role: in.Role, Status: idp.UserActive, Language: "zh-CN"}
	u.Name, err = name("name", in.Name, 64)
	bad.add(err)
	names, _, err := identifiers(in.Username, in.Phone, in.Email)
	bad.add(err)
	if in.Role.Operator() && in.MerchantNo != "" {
		bad.add(idp.FieldError("merchant_no", "error.staff_no_merchant"))
	}
	employed := u
	if employed.MerchantID, err = m.employer(ctx, in); err != nil {
		return "", err
	}
	password, err := m.password(ctx, in.Password, employed, values(names), !in.TOTP)
	bad.add(err)
	if err := bad.err(); err != nil {
		return "", err
	}
	encoded, err := hash(ctx, password)
	if err != nil {
		return "", err
	}
	var secret string
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		names := clones(names)
		if !in.Role.Operator() {
			no, err := m.staffOf(ctx, &u, in.MerchantNo)
			if err != nil {
				return err
			}
			if no != nil {
				names = append(names, no)
			}
		}
		if err := m.Store.CreateUser(ctx, &u, names...); err != nil {
			return err
		}
		if err := m.Store.AddCredential(ctx, &idp.Credential{UserID: u.ID, Method: idp.MethodPassword, Data: []byte(encoded)}); err != nil {
			return err
		}
		e := userEvent("account.created", u)
		e.Data = map[string]any{"role": string(u.Role)}
		if err := m.record(ctx, system, e); err != nil || !in.TOTP {
			return err
		}
		secret, err = m.addTOTP(ctx, u, names[0].Value)
		return err
	})
	if err != nil || !in.TOTP {
		return "", err
	}
	return otpauthURI(m.Operator, names[0].Value, secret), nil
}

// employer is the id of the merchant that the account is to be of, "" for none or one that
// is refused later.
func (m *Manager) employer(ctx context.Context, in Account) (string, error) {
	merchant, err := m.merchantByNo(ctx, "merchant_no", in.MerchantNo)
	if err != nil && idp.KindOf(err) != idp.Invalid {
		return "", err
	}
	return merchant.ID, nil
}

// staffOf makes the user staff of a merchant; the number of a merchant without
// owner then names its new owner.
func (m *Manager) staffOf(ctx context.Context, u *idp.User, typed string) (*idp.Identifier, error) {
	if u.Role == idp.RoleOwner {
		return m.ownerOf(ctx, u, typed)
	}
	merchant, err := m.merchantByNo(ctx, "merchant_no", typed)
	u.MerchantID = merchant.ID
	return nil, err
}

func (m *Manager) addTOTP(ctx context.Context, u idp.User, login string) (string, error) {
	var b [20]byte // 160 bits (RFC 4226 section 4)
	_, _ = rand.Read(b[:])
	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])
	data, err := json.Marshal(struct {
		Secret    string `json:"secret"`
		Digits    int    `json:"digits"`
		Period    int    `json:"period"`
		Algorithm string `json:"algorithm"`
	}{secret, 6, 30, "SHA1"})
	if err != nil {
		return "", err
	}
	if err := m.Store.AddCredential(ctx, &idp.Credential{UserID: u.ID, Method: idp.MethodTOTP, Label: login, Data: data}); err != nil {
		return "", err
	}
	e := userEvent("factor.enrolled", u)
	e.Data = map[string]any{"method": string(idp.MethodTOTP)}
	return secret, m.record(ctx, system, e)
}

// otpauthURI is the address that authenticator apps read. A colon would end the
// issuer's name, and they read "+" as it stands.
func otpauthURI(operator, login, secret string) idp.Secret {
	if operator == "" {
		operator = "Hufu"
	}
	clean := strings.NewReplacer(":", " ")
	operator, login = clean.Replace(operator), clean.Replace(login)
	q := url.Values{"secret": {secret}, "issuer": {operator}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	return idp.Secret("otpauth://totp/" + url.PathEscape(operator) + ":" + url.PathEscape(login) + "?" + strings.ReplaceAll(q.Encode(), "+", "%20"))
}

// hash is the stored form of a password: one at a time is enough for a command.
func hash(ctx context.Context, password string) (string, error) {
	return phc.NewHasher(1).Hash(ctx, password)
}

// password checks the password of a person against policy and returns it as it is hashed.
// alone: he has no second factor.
func (m *Manager) password(ctx context.Context, typed idp.Secret, u idp.User, names []idp.Identifier, alone bool) (string, error) {
	merchant, f, err := m.facts(ctx, u, names)
	if err != nil {
		return "", err
	}
	rules := m.Policy.For(policy.Who(u, merchant)).Password
	rules.Words = append(slices.Clone(rules.Words), m.Operator)
	text := normal.Password(typed.Reveal())
	v, err := rules.Check(text, alone, f, m.Lists)
	if err == nil {
		err = v.Err()
	}
	return text, err
}

// facts are what must not be in the password of a person, and his merchant or nil.
func (m *Manager) facts(ctx context.Context, u idp.User, names []idp.Identifier) (merchant *idp.Merchant, f policy.PersonalFacts, err error) {
	var terminals []idp.Terminal
	if u.MerchantID != "" {
		his, err := m.Store.Merchant(ctx, u.MerchantID)
		if err != nil {
			return nil, f, err
		}
		merchant = &his
		if terminals, err = m.Store.Terminals(ctx, "", his.ID, policy.MostSerials); err != nil {
			return nil, f, err
		}
	}
	f = policy.FactsOf(u, merchant, names, terminals)
	kept, err := m.Store.Evidence(ctx, u.ID)
	f.HashHit = policy.HashHits(kept, func(kind, value string) []byte { return m.Store.EvidenceHash(u.ID, kind, value) })
	return merchant, f, err
}

// ResetPassword gives an account a new password that must be changed at the next
// sign-in, and ends all its sessions and grants. It is for whoever holds the server
// itself: no operator can set another's password in the console.
func (m *Manager) ResetPassword(ctx context.Context, login string, typed idp.Secret) error {
	u, err := m.named(ctx, login)
	if err != nil {
		return err
	}
	creds, err := m.Store.Credentials(ctx, u.ID)
	if err != nil {
		return err
	}
	var old *idp.Credential
	alone := true
	for _, c := range creds {
		switch c.Method {
		case idp.MethodPassword:
			old = &c
		case idp.MethodTOTP, idp.MethodPasskey:
			alone = false
		}
	}
	names, err := m.Store.Identifiers(ctx, u.ID)
	if err != nil {
		return err
	}
	password, err := m.password(ctx, typed, u, names, alone)
	if err != nil {
		return err
	}
	encoded, err := hash(ctx, password)
	if err != nil {
		return err
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		if err := m.setPassword(ctx, u.ID, old, []byte(encoded)); err != nil {
			return err
		}
		if err := m.Store.SetMustChange(ctx, u.ID, true); err != nil {
			return err
		}
		if err := m.Store.RevokeBrowsers(ctx, u.ID, ""); err != nil {
			return err
		}
		if err := m.endUser(ctx, system, u, "password.reset"); err != nil {
			return err
		}
		return m.record(ctx, system, userEvent("password.reset", u))
	})
}

func (m *Manager) setPassword(ctx context.Context, user string, old *idp.Credential, encoded []byte) error {
	if old == nil {
		return m.Store.AddCredential(ctx, &idp.Credential{UserID: user, Method: idp.MethodPassword, Data: encoded})
	}
	ok, err := m.Store.ReplaceCredential(ctx, old.ID, old.Version, encoded)
	if err != nil || !ok {
		return orMoved(err)
	}
	return nil
}

// RecoverStaff is for whoever holds the server itself when nobody is left who could bring
// one of the operator's own staff back: a case that is approved as it is opened, and its
// link for him to hand over. All administrators are told.
func (m *Manager) RecoverStaff(ctx context.Context, login string) (link idp.Secret, err error) {
	u, err := m.named(ctx, login)
	switch {
	case err != nil:
		return "", err
	case !u.Role.Operator():
		return "", idp.Errorf(idp.Conflict, "error.recover_staff")
	}
	err = m.Store.Tx(ctx, func(ctx context.Context) error {
		now := time.Now()
		c := idp.Case{Kind: idp.CaseStaff, UserID: u.ID, OpenedBy: system.User.ID, OpenedAt: now, DueAt: now, ReadyAt: now, Data: map[string]any{"lost": string(idp.LostBoth)}}
		if err := m.open(ctx, system, &c); err != nil {
			return err
		}
		if err := m.decide(ctx, system, &c, u, idp.OutcomeApproved, "case.approved"); err != nil {
			return err
		}
		made, err := m.CaseLink(ctx, u, c, idp.Identifier{})
		link = idp.Secret(made)
		return err
	})
	return link, err
}

// Knows says whether a login name names somebody.
func (m *Manager) Knows(ctx context.Context, login string) error {
	_, err := m.named(ctx, login)
	return err
}

func (m *Manager) named(ctx context.Context, login string) (idp.User, error) {
	unknown := idp.Errorf(idp.NotFound, "error.unknown_name")
	kind, value, ok := normal.Identifier(login)
	if !ok {
		return idp.User{}, unknown
	}
	u, err := m.Store.UserByIdentifier(ctx, kind, value)
	if err != nil && idp.KindOf(err) == idp.NotFound {
		return idp.User{}, unknown
	}
	return u, err
}
