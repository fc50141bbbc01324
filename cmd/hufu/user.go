package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/idp/server"
	"hufu/storage"
	"hufu/templates"
)

type userCmd struct {
	Add   userAddCmd   `cmd:"" help:"Make an active account; the password is read from standard input."`
	Reset userResetCmd `cmd:"" name:"reset-password" help:"Set a new password, to be changed at the next sign-in; sessions and grants end."`

	Recover   userRecoverCmd   `cmd:"" help:"Print a link that begins the recovery of one of the operator's own staff, when nobody is left who could approve it; all administrators are told."`
	Documents userDocumentsCmd `cmd:"" name:"import-documents" help:"Read lines of user name, last six characters of the identity document and birthday from standard input; keyed hashes are kept, never the values."`
}

type userAddCmd struct {
	Username   string   `required:"" help:"User name to sign in with."`
	Role       idp.Role `required:"" help:"owner, manager, cashier, policy_admin, support_agent, support_supervisor or auditor."`
	MerchantNo string   `help:"Merchant that the person works for: 15 digits."`
	Phone      string   `help:"Phone number; without a country it is Chinese."`
	Email      string   `help:"E-mail address."`
	Name       string   `help:"Name of the person; the user name if absent."`
	TOTP       bool     `name:"totp" help:"Enrol an authenticator and print its otpauth address once."`
}

func (c userAddCmd) Run(a *app) error {
	return a.manage(func(m *manage.Manager) error {
		password, err := a.password()
		if err != nil {
			return err
		}
		uri, err := m.AddAccount(a.ctx, manage.Account{Username: c.Username, Name: c.Name, Phone: c.Phone, Email: c.Email, Role: c.Role, MerchantNo: c.MerchantNo, Password: password, TOTP: c.TOTP})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "made %s, %s\n", c.Username, c.Role)
		if c.TOTP {
			_, werr := fmt.Fprintf(a.stdout, "authenticator, shown this once:\n%s\n", uri.Reveal())
			err = errors.Join(err, werr)
		}
		return err
	})
}

type userResetCmd struct {
	Login string `arg:"" name:"name" help:"User name, phone, e-mail or merchant number."`
}

func (c userResetCmd) Run(a *app) error {
	return a.manage(func(m *manage.Manager) error {
		if err := m.Knows(a.ctx, c.Login); err != nil {
			return err
		}
		password, err := a.password()
		if err != nil {
			return err
		}
		if err := m.ResetPassword(a.ctx, c.Login, password); err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "%s must change it at the next sign-in; all sessions have ended\n", c.Login)
		return err
	})
}

type userRecoverCmd struct {
	Login string `arg:"" name:"name" help:"User name, phone or e-mail."`
}

func (c userRecoverCmd) Run(a *app) error {
	return a.manage(func(m *manage.Manager) error {
		link, err := m.RecoverStaff(a.ctx, c.Login)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "works once, within a day; hand it over in person:\n%s\n", link.Reveal())
		return err
	})
}

type userDocumentsCmd struct{}

func (userDocumentsCmd) Run(a *app) error {
	return a.manage(func(m *manage.Manager) error {
		n, err := m.ImportDocuments(a.ctx, a.stdin)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.stdout, "kept the hashes of %d people; they count after three days\n", n)
		return err
	})
}

// manage runs an act on the configured database and says in words what it refuses.
func (a *app) manage(do func(m *manage.Manager) error) error {
	return a.withStore(func(cfg server.Config, store *storage.Store) error {
		lists, closeLists, err := cfg.PasswordLists()
		if err != nil {
			return err
		}
		err = sentence(do(server.Offline(cfg, store, lists)))
		return errors.Join(err, closeLists())
	})
}

// flagOf names the flag of a field, so that a refusal says what to change.
var flagOf = map[string]string{"username": "--username", "role": "--role", "merchant_no": "--merchant-no", "phone": "--phone", "email": "--email", "name": "--name", "password": "password", "reason": "--reason"}

// sentence turns refusals into sentences of the catalogue, one a line; other errors
// stay as they are.
func sentence(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, sentence(e))
		}
		return errors.Join(all...)
	}
	e, ok := errors.AsType[*idp.Error](err)
	if !ok || e.Kind == idp.Internal {
		return err
	}
	text := templates.T("en", e.Msg, e.Args...)
	if flag := flagOf[e.Field]; flag != "" {
		text = flag + ": " + text
	}
	return errors.New(text)
}

// password reads a password: twice without echo from a terminal, else the first
// line of standard input.
func (a *app) password() (idp.Secret, error) {
	if file, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return a.askTwice(int(file.Fd()))
	}
	text, err := bufio.NewReader(io.LimitReader(a.stdin, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("standard input: %w", err)
	}
	if text = strings.TrimRight(text, "\r\n"); text == "" {
		return "", errors.New("give the password on standard input")
	}
	return idp.Secret(text), nil
}

func (a *app) askTwice(terminal int) (idp.Secret, error) {
	var typed [2]string
	for i, prompt := range []string{"Password: ", "Again: "} {
		fmt.Fprint(a.stderr, prompt)
		text, err := term.ReadPassword(terminal)
		fmt.Fprintln(a.stderr)
		if err != nil {
			return "", err
		}
		typed[i] = string(text)
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two passwords differ")
	}
	return idp.Secret(typed[0]), nil
}
