package flows

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"hufu/flows/factor/backup"
	"hufu/idp"
	"hufu/idp/policy"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

// accountRoutes are a person's own pages. Stopping asks for nothing but a session;
// what a thief at an unlocked browser could do harm with asks for fresh proofs, and
// waits while the account is frozen.
func (e *Engine) accountRoutes(page func(pattern string, h web.Handler)) {
	page("GET /account", e.own(e.account))
	page("GET /account/factors", e.own(e.factorsPage))
	page("POST /account/factors/rename", e.thawed(e.renameFactor))
	page("GET /account/factors/remove", e.thawed(e.removeFactorPage))
	page("POST /account/factors/remove", e.thawed(e.removeFactor))
	page("GET /account/enrol", e.thawed(e.enrol))
	page("GET /account/password", e.free(idp.FlowPassword, e.changePassword))
	page("GET /account/codes", e.thawed(e.renewCodes))
	page("GET /account/username", e.free(idp.FlowUsername, e.changeUsername))
	page("GET /account/contacts", e.own(e.contactsPage))
	page("GET /account/contact/new", e.thawed(e.addContact))
	page("GET /account/contact/change", e.thawed(e.changeContact))
	page("POST /account/contact/confirm", e.thawed(e.confirmContact))
	page("GET /account/contact/remove", e.thawed(e.removeContactPage))
	page("POST /account/contact/remove", e.thawed(e.removeContact))
	page("POST /account/contact/undo", e.thawed(e.undoContact))
	page("GET /account/devices", e.own(e.devicesPage))
	page("POST /account/end", e.own(e.endSession))
	page("POST /account/end-all", e.own(e.endSessions))
	page("POST /account/browser/revoke", e.own(e.revokeBrowser))
	page("POST /account/browser/distrust", e.own(e.distrustBrowser))
	page("GET /account/apps", e.own(e.appsPage))
	page("POST /account/app/withdraw", e.own(e.withdrawApp))
	page("POST /account/approval/end", e.own(e.endApproval))
	page("GET /account/activity", e.own(e.activityPage))
	page("POST /account/activity", e.own(e.answerEvent))
	page("GET /account/data", e.own(e.dataPage))
	page("POST /account/data", e.own(e.exportData))
	page("GET /account/leave", e.leaving(e.leavePage))
	page("POST /account/leave", e.leaving(e.setLeave))
	page("GET /account/call", e.own(e.callPage))
	page("GET /account/freeze", e.own(e.freezePage))
	page("POST /account/freeze", e.own(e.freezeMe))
	page("GET /account/unfreeze", e.own(e.unfreezePage))
	page("POST /account/unfreeze", e.own(e.unfreeze))
	page("GET /account/recovery", e.own(e.withdrawPage))
	page("POST /account/recovery", e.own(e.withdraw))
	page("GET /stop", e.stopPage)
	page("POST /stop", e.stop)
	page("GET /undo", e.undoPage)
	page("POST /undo", e.undo)
}

// mine returns who is signed in; nobody is led to sign in first and comes back to the
// page he asked for.
func (e *Engine) mine(w http.ResponseWriter, r *http.Request) (*session.Signed, error) {
	signed, err := e.Sessions.Signed(r)
	if err == nil && signed == nil {
		back := "/account"
		if r.Method == http.MethodGet {
			back = r.URL.RequestURI()
		}
		err = e.Site.Require(w, r, idp.Demand{Kind: idp.FlowSignIn, Return: back})
	}
	return signed, err
}

// ownPage serves a page to the signed-in person whose page it is.
type ownPage func(w http.ResponseWriter, r *http.Request, me *session.Signed) error

// own leads whoever is not signed in to the door, and reads the form of the others.
func (e *Engine) own(h ownPage) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		me, err := e.mine(w, r)
		if me == nil {
			return err
		}
		if err := r.ParseForm(); err != nil {
			return badForm(err)
		}
		return h(w, r, me)
	}
}

// errFrozen: nothing that proves a person may change while he is frozen, or a thief
// would change it first.
var errFrozen = idp.Errorf(idp.Forbidden, "account.frozen_first")

// thawed is own for what has to wait while the account is frozen.
func (e *Engine) thawed(h ownPage) web.Handler { return e.free(idp.FlowEnrol, h) }

// free is own for a change of a kind, which waits while the account is frozen or a
// recovery keeps it back.
func (e *Engine) free(kind idp.FlowKind, h ownPage) web.Handler {
	return e.own(func(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
		if err := barred(me.User, kind, time.Now()); err != nil {
			return err
		}
		return h(w, r, me)
	})
}

// barred says why nothing of a kind may change now, nil when it may: a thief would change
// it first.
func barred(u idp.User, kind idp.FlowKind, now time.Time) error {
	switch {
	case u.Frozen:
		return errFrozen
	case keptBack(u, kind, now):
		return errWithheld(u)
	}
	return nil
}

// keptBack says whether a recovery keeps a kind of change back: every one until it is
// over, and for a time after one that had less to show, all but those of what is known.
func keptBack(u idp.User, kind idp.FlowKind, now time.Time) bool {
	switch u.Withholds(now) {
	case idp.WithholdMoney:
		return changes(kind)
	case idp.WithholdPayee:
		return changes(kind) && kind != idp.FlowPassword && kind != idp.FlowUsername
	}
	return false
}

func errWithheld(u idp.User) error {
	return &idp.Error{Kind: idp.Forbidden, Msg: "account.withheld_first", Args: []any{u.WithheldUntil}, Reason: "withheld"}
}

// withheld is keptBack for the person of a flow.
func (s *State) withheld(kind idp.FlowKind) bool {
	return s.user != nil && keptBack(*s.user, kind, time.Now())
}

// alter runs a change of what proves a person in one transaction, beside no freeze of
// his and no end of his session.
func (e *Engine) alter(ctx context.Context, me *session.Signed, change func(ctx context.Context) error) error {
	return e.Store.Tx(ctx, func(ctx context.Context) error {
		u, err := e.Store.HoldUser(ctx, me.User.ID)
		if err != nil {
			return err
		}
		live, err := e.Store.HoldSession(ctx, me.Session.ID)
		switch {
		case err != nil:
			return err
		case !live || u.Reason(time.Now()) != "":
			return errExpired
		}
		if err := barred(u, idp.FlowEnrol, time.Now()); err != nil {
			return err
		}
		return change(ctx)
	})
}

// strict is what a change of credentials, phones or addresses asks: two factors, all of
// them fresh, so that neither a stolen password nor an unlocked browser is enough.
func (e *Engine) strict(me *session.Signed, kind idp.FlowKind, back string) idp.Demand {
	return idp.Demand{Kind: kind, ACR: idp.ACR2, TwoStar: true, Since: time.Now().Add(-e.Policy.For(me.Facts()).StepUp.Credential), User: me.User.ID, Return: back}
}

// light is what a change asks that cannot be used to come in: two factors, one fresh.
func (e *Engine) light(me *session.Signed, kind idp.FlowKind, back string) idp.Demand {
	return idp.Demand{Kind: kind, ACR: idp.ACR2, TwoStar: true, One: true, Since: time.Now().Add(-e.Policy.For(me.Facts()).StepUp.Own), User: me.User.ID, Return: back}
}

// meets says whether a demand is met; else it leads to the flow that cures it. Whoever
// holds a second factor shows it: password and code are for those who have none.
func (e *Engine) meets(w http.ResponseWriter, r *http.Request, me *session.Signed, d idp.Demand) (bool, error) {
	creds, err := e.Store.Credentials(r.Context(), me.User.ID)
	if err != nil {
		return false, err
	}
	d.TwoStar = d.TwoStar && len(seconds(creds)) == 0
	if d.Met(me.Session.Proofs) {
		return true, nil
	}
	return false, e.Site.Require(w, r, d)
}

// act is the start of an event of a person's own doing.
func (e *Engine) act(ctx context.Context, me *session.Signed) idp.Event {
	u := me.User
	return idp.Event{Actor: u.ID, Subject: u.ID, Merchant: u.MerchantID, Store: u.StoreID, Session: me.Session.ID, Network: web.Network(ctx), Policy: e.Policy.Now().Version}
}

// letter is a notice of what was done on a page, in this browser.
func (e *Engine) letter(r *http.Request, u idp.User, names []idp.Identifier) templates.Letter {
	return templates.Letter{Name: u.Name, Login: loginOf(names), At: time.Now(), Browser: e.Sessions.Device(r), Place: e.where(web.Network(r.Context()), u.Language)}
}

// where is the place of a network in words, where the operator supplied the file that
// knows it; else the network.
func (e *Engine) where(network, lang string) string {
	return cmp.Or(e.Places.OfNetwork(network, lang), network)
}

// loginOf is the name that a person signs in by: his user name, else a masked channel.
func loginOf(names []idp.Identifier) string {
	if name := usernameOf(names); name != "" {
		return name
	}
	for _, n := range names {
		if n.Channel() {
			return n.Masked()
		}
	}
	return ""
}

// accountName is the name by which an authenticator tells the account from others: it
// stands on the device, where no number of the person's belongs.
func accountName(u idp.User, names []idp.Identifier) string { return cmp.Or(usernameOf(names), u.Name) }

// usernameOf is the present user name, "" for none.
func usernameOf(names []idp.Identifier) string {
	for _, n := range names {
		if n.Kind == idp.IdentifierUsername && !n.Former {
			return n.Value
		}
	}
	return ""
}

// seconds are the second factors of a person that answer for him.
func seconds(creds []idp.Credential) (out []idp.Credential) {
	for _, c := range creds {
		if (c.Method == idp.MethodTOTP || c.Method == idp.MethodPasskey) && c.Blocked == "" {
			out = append(out, c)
		}
	}
	return out
}

// of returns the credential of a method, nil for none.
func of(creds []idp.Credential, m idp.Method) *idp.Credential {
	i := slices.IndexFunc(creds, func(c idp.Credential) bool { return c.Method == m })
	if i < 0 {
		return nil
	}
	return &creds[i]
}

// savedNotes are what a page may say has just been done.
var savedNotes = []string{"enrolled", "removed", "renamed", "password", "codes", "username", "contact", "contact_removed", "confirmed", "undone", "ended", "ended_all", "revoked", "distrusted",
	"withdrawn", "approval_ended", "answered", "unfrozen", "withdrawn_recovery", "leaving"}

func saved(r *http.Request) string {
	if note := r.URL.Query().Get("saved"); slices.Contains(savedNotes, note) {
		return "account.saved." + note
	}
	return ""
}

// account is the overview.
func (e *Engine) account(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	ctx, u := r.Context(), me.User
	creds, err := e.Store.Credentials(ctx, u.ID)
	if err != nil {
		return err
	}
	names, err := e.Store.Identifiers(ctx, u.ID)
	if err != nil {
		return err
	}
	events, err := e.Store.Events(ctx, storage.EventFilter{Subject: u.ID, Names: shown}, 5)
	if err != nil {
		return err
	}
	p := templates.Account{Name: u.Name, Login: loginOf(names), Username: usernameOf(names), RoleKey: "role." + string(u.Role), Saved: saved(r), Frozen: u.Frozen, FrozenAt: u.FrozenAt,
		Checks: e.checks(e.Policy.For(me.Facts()).Password, creds, names, time.Now())}
	if me.Merchant != nil {
		p.MerchantName = me.Merchant.LegalName
		if u.Role == idp.RoleOwner || u.Role == idp.RoleManager {
			p.ShopURL = "/console"
		} else {
			p.LostURL = "/console" // which lists the terminals of his store
		}
	}
	if n := e.unconfirmed(names, time.Now()); n != nil && !u.Frozen {
		row := e.contactRow(names, nil, *n, time.Now())
		p.Still = &row
	}
	p.Leaves = lastDay(u)
	if mayLeave(u) {
		p.LeaveURL = "/account/leave"
	}
	if p.Handover, err = e.handoverNote(ctx, u); err != nil {
		return err
	}
	if p.Closed, err = e.closedWays(ctx, u, creds, names, time.Now()); err != nil {
		return err
	}
	if p.CaseNumber, err = e.openCase(ctx, u); err != nil {
		return err
	}
	running, err := e.Store.RunningRecovery(ctx, u.ID)
	if err != nil {
		return err
	}
	if running != nil {
		p.Recovering = running.DueAt
	}
	if p.Events, err = e.eventRows(r, me, events); err != nil {
		return err
	}
	return e.Site.Write(w, r, http.StatusOK, p)
}

// openCase is the number of the newest case of a frozen person that waits for an
// answer, "" for none.
func (e *Engine) openCase(ctx context.Context, u idp.User) (string, error) {
	if !u.Frozen {
		return "", nil
	}
	open, err := e.Store.Cases(ctx, storage.CaseFilter{User: u.ID, State: idp.CaseOpen}, openCases)
	open = slices.DeleteFunc(open, func(c idp.Case) bool { return !c.OfFreeze() })
	if err != nil || len(open) == 0 {
		return "", err
	}
	return open[0].Number, nil
}

// checks are the points of the safety check. What a digest reminds of stands here, too.
func (e *Engine) checks(rules policy.PasswordRules, creds []idp.Credential, names []idp.Identifier, now time.Time) []templates.Check {
	all := []templates.Check{secondCheck(creds), e.spareCheck(creds), e.channelCheck(names, now)}
	c := of(creds, idp.MethodPassword)
	if c != nil && !c.WeakSince.IsZero() {
		all = append(all, templates.Check{TitleKey: "check.password", TextKey: "check.password.weak", Args: []any{c.WeakSince.AddDate(0, 0, rules.GraceDays)}, URL: "/account/password", DoKey: "check.password.do"})
	} else if c != nil && rules.MaxAgeDays > 0 {
		all = append(all, ageCheck(rules, *c, now))
	}
	return all
}

// ageCheck: a password that ends soon, or has ended.
func ageCheck(rules policy.PasswordRules, password idp.Credential, now time.Time) templates.Check {
	c := templates.Check{TitleKey: "check.password", TextKey: "check.password.done", URL: "/account/password", DoKey: "check.password.do"}
	switch left := rules.MaxAge() - now.Sub(password.ChangedAt); {
	case left <= 0:
		c.TextKey = "check.password.old"
	case rules.Mark(left) > 0:
		c.TextKey, c.Args = "check.password.soon", []any{daysLeft(left)}
	default:
		c.Done, c.URL, c.DoKey = true, "", ""
	}
	return c
}

func secondCheck(creds []idp.Credential) templates.Check {
	c := templates.Check{TitleKey: "check.second", Done: len(seconds(creds)) > 0, TextKey: "check.second.done"}
	if !c.Done {
		c.TextKey, c.URL, c.DoKey = "check.second.none", "/account/enrol", "check.second.do"
	}
	return c
}

// spareCheck: what is left when the phone is lost.
func (e *Engine) spareCheck(creds []idp.Credential) templates.Check {
	left := -1
	if set := of(creds, idp.MethodBackup); set != nil {
		left = backup.Left(set.Data)
	}
	c := templates.Check{TitleKey: "check.spare", Done: true}
	switch n := len(seconds(creds)); {
	case left >= e.Policy.Now().Paper.Low:
		c.TextKey, c.Args = "check.spare.codes", []any{left}
	case left >= 0:
		c.Done, c.TextKey, c.Args = false, "check.spare.few", []any{left}
	case n > 1:
		c.TextKey, c.Args = "check.spare.factors", []any{n}
	default:
		c.Done, c.TextKey = false, "check.spare.none"
	}
	if !c.Done {
		c.URL, c.DoKey = "/account/codes", "check.spare.do"
	}
	return c
}

// channelCheck: notices and codes reach the person by phone and by mail.
func (e *Engine) channelCheck(names []idp.Identifier, now time.Time) templates.Check {
	for _, kind := range []idp.IdentifierKind{idp.IdentifierPhone, idp.IdentifierEmail} {
		if !slices.ContainsFunc(names, func(n idp.Identifier) bool { return n.Kind == kind && n.Channel() }) {
			return templates.Check{TitleKey: "check.channels", TextKey: "check.channels.no_" + string(kind), URL: "/account/contact/new?kind=" + string(kind), DoKey: "check.channels.add"}
		}
	}
	if n := e.unconfirmed(names, now); n != nil {
		return templates.Check{TitleKey: "check.channels", TextKey: "check.channels.stale_" + string(n.Kind), URL: "/account/contacts", DoKey: "check.channels.look"}
	}
	return templates.Check{TitleKey: "check.channels", TextKey: "check.channels.done", Done: true}
}

// stale says whether no code has come back from a phone or address for long.
func (e *Engine) stale(n idp.Identifier, now time.Time) bool {
	proven := cmp.Or(n.LastProvenAt, n.VerifiedAt)
	return now.Sub(proven) > e.Policy.Now().Notices.Unproven
}
