package flows

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"hufu/flows/factor"
	"hufu/flows/factor/backup"
	"hufu/idp"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/templates"
)

// factorsPage lists the ways in which a person proves himself.
func (e *Engine) factorsPage(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	ctx := r.Context()
	creds, err := e.Store.Credentials(ctx, me.User.ID)
	if err != nil {
		return err
	}
	p := templates.AccountFactors{Saved: saved(r), PasswordURL: "/account/password", PasskeyURL: "/account/enrol?factor=passkey", TOTPURL: "/account/enrol?factor=totp",
		CodesURL: "/account/codes", Codes: -1}
	for _, c := range creds {
		switch c.Method {
		case idp.MethodPassword:
			p.HasPassword, p.PasswordChanged = true, c.ChangedAt
		case idp.MethodTOTP:
			row := e.factorRow(me, creds, c)
			p.TOTP = &row
		case idp.MethodPasskey:
			p.Passkeys = append(p.Passkeys, e.factorRow(me, creds, c))
		case idp.MethodBackup:
			p.Codes, p.CodesMade = backup.Left(c.Data), c.ChangedAt
		}
	}
	p.CodesFew = p.Codes >= 0 && p.Codes < e.Policy.Now().Paper.Low
	if p.Signal, err = e.signal(r, me, creds); err != nil {
		return err
	}
	return e.Site.Write(w, r, http.StatusOK, p)
}

func (e *Engine) factorRow(me *session.Signed, creds []idp.Credential, c idp.Credential) templates.FactorRow {
	row := templates.FactorRow{ID: c.ID, LabelKey: "factor." + string(c.Method), Label: c.Label, Added: c.CreatedAt, LastUsed: c.LastUsedAt, Blocked: c.Blocked != "",
		RenameAction: "/account/factors/rename", Last: e.lastFactor(me, creds, c.ID)}
	if !row.Last {
		row.Remove = removeFactorPath(c.ID)
	}
	if c.Method == idp.MethodPasskey && e.Passkey != nil {
		if info, err := e.Passkey.Describe(c.Data); err == nil { // one that cannot be read can still be removed
			row.Model, row.Icon, row.Synced, row.DeviceBound = info.Model, info.Icon, info.Synced, info.DeviceBound
			row.Unsynced = !info.Synced && !info.DeviceBound
		}
	}
	return row
}

// signal tells the browser which passkeys there are, so that it forgets one that has
// just been removed and shows the name of today; "" where there is nothing to tell.
func (e *Engine) signal(r *http.Request, me *session.Signed, creds []idp.Credential) (string, error) {
	if e.Passkey == nil { // an issuer without a name has no passkeys
		return "", nil
	}
	mine := slices.DeleteFunc(slices.Clone(creds), func(c idp.Credential) bool { return c.Method != idp.MethodPasskey || c.Blocked != "" })
	if len(mine) == 0 && r.URL.Query().Get("saved") != "removed" {
		return "", nil
	}
	handle, err := e.Store.Handle(r.Context(), me.User.ID)
	if err != nil {
		return "", err
	}
	names, err := e.Store.Identifiers(r.Context(), me.User.ID)
	if err != nil {
		return "", err
	}
	data, err := e.Passkey.Signal(&factor.Attempt{User: me.User, Login: accountName(me.User, names), Credentials: mine, Handle: handle})
	if err != nil { // a help to the browser, and nothing more
		e.Log.WarnContext(r.Context(), "signal", "error", err)
		return "", nil
	}
	return string(data), nil
}

// lastFactor says whether a credential is the only second factor that answers for a
// person of whom policy demands one.
func (e *Engine) lastFactor(me *session.Signed, creds []idp.Credential, id string) bool {
	if e.Policy.For(me.Facts()).Factors.SignIn < idp.ACR2 {
		return false
	}
	return !slices.ContainsFunc(seconds(creds), func(c idp.Credential) bool { return c.ID != id })
}

// myFactor finds a second factor of the person by its id, with all he holds.
func (e *Engine) myFactor(ctx context.Context, me *session.Signed, id string) (c idp.Credential, all []idp.Credential, err error) {
	if all, err = e.Store.Credentials(ctx, me.User.ID); err != nil {
		return c, nil, err
	}
	i := slices.IndexFunc(all, func(c idp.Credential) bool {
		return c.ID == id && (c.Method == idp.MethodTOTP || c.Method == idp.MethodPasskey)
	})
	if i < 0 {
		return c, nil, idp.Errorf(idp.NotFound, "error.notfound")
	}
	return all[i], all, nil
}

// labelMost bounds the name that a person gives a factor, in characters.
const labelMost = 60

var errLabel = idp.FieldError("label", "account.label", labelMost)

// labelOf is a person's own name for a thing: printed as it is, on his pages alone.
func labelOf(typed string) (string, error) {
	label := templates.OneLine(typed)
	if !utf8.ValidString(label) || strings.ContainsFunc(label, func(r rune) bool { return !unicode.IsPrint(r) }) || utf8.RuneCountInString(label) > labelMost {
		return "", errLabel
	}
	return label, nil
}

// renameFactor gives a factor the person's own name.
func (e *Engine) renameFactor(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	label, err := labelOf(r.PostForm.Get("label"))
	if err == nil && label == "" {
		err = errLabel
	}
	if err != nil {
		return err
	}
	err = e.alter(r.Context(), me, func(ctx context.Context) error {
		c, _, err := e.myFactor(ctx, me, r.PostForm.Get("credential"))
		if err != nil {
			return err
		}
		if _, err := e.Store.RenameCredential(ctx, me.User.ID, c.ID, label); err != nil {
			return err
		}
		ev := e.act(ctx, me)
		ev.Name, ev.Data = "factor.renamed", map[string]any{"method": string(c.Method), "credential": c.ID}
		return e.Store.Append(ctx, ev)
	})
	if err != nil {
		return err
	}
	return web.Redirect(w, r, "/account/factors?saved=renamed")
}

func removeFactorPath(id string) string {
	return "/account/factors/remove?credential=" + url.QueryEscape(id)
}

// errLast: what policy demands can be replaced, not given up.
var errLast = idp.Errorf(idp.Forbidden, "account.last_factor")

// removable finds a second factor that the person may give up, with all he holds.
func (e *Engine) removable(ctx context.Context, me *session.Signed, id string) (c idp.Credential, all []idp.Credential, err error) {
	c, all, err = e.myFactor(ctx, me, id)
	if err == nil && e.lastFactor(me, all, c.ID) {
		err = errLast
	}
	return c, all, err
}

// removeFactorPage asks before a factor is removed.
func (e *Engine) removeFactorPage(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	c, _, err := e.removable(r.Context(), me, r.URL.Query().Get("credential"))
	if err != nil {
		return err
	}
	if ok, err := e.meets(w, r, me, e.strict(me, idp.FlowStepUp, removeFactorPath(c.ID))); !ok {
		return err
	}
	label := cmp.Or(c.Label, templates.T(e.Site.Lang(r), "factor."+string(c.Method)))
	return e.Site.Write(w, r, http.StatusOK, templates.Confirm{TitleKey: "account.remove_factor", TextKey: "account.remove_factor_text", ButtonKey: "account.remove_factor_do",
		Args: []any{label}, Action: "/account/factors/remove", Hidden: map[string]string{"credential": c.ID}, Danger: true, Back: "/account/factors", Tab: "factors"})
}

// removeFactor takes a factor away, with all that it let in elsewhere.
func (e *Engine) removeFactor(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	id := r.PostForm.Get("credential")
	if _, _, err := e.removable(r.Context(), me, id); err != nil {
		return err
	}
	if ok, err := e.meets(w, r, me, e.strict(me, idp.FlowStepUp, removeFactorPath(id))); !ok {
		return err
	}
	err := e.alter(r.Context(), me, func(ctx context.Context) error {
		c, all, err := e.removable(ctx, me, id) // as it stands now: of two that go at once, one stays
		if err != nil {
			return err
		}
		return e.dropFactor(ctx, r, me, c, all)
	})
	if err != nil {
		return err
	}
	return web.Redirect(w, r, "/account/factors?saved=removed")
}

func (e *Engine) dropFactor(ctx context.Context, r *http.Request, me *session.Signed, c idp.Credential, all []idp.Credential) error {
	gone := []idp.Credential{c}
	if set := of(all, idp.MethodBackup); set != nil && len(seconds(all)) == 1 && seconds(all)[0].ID == c.ID {
		gone = append(gone, *set) // codes stand in for a factor: without one they would only be demanded
	}
	for _, g := range gone {
		if err := e.dropCredential(ctx, me.User, g, me.Session.ID); err != nil {
			return err
		}
		ev := e.act(ctx, me)
		ev.Name, ev.Data = "factor.removed", map[string]any{"method": string(g.Method), "credential": g.ID}
		if err := e.Store.Append(ctx, ev); err != nil {
			return err
		}
	}
	names, err := e.Store.Identifiers(ctx, me.User.ID)
	if err != nil {
		return err
	}
	letter := e.letter(r, me.User, names)
	letter.Factor, letter.Object = "factor."+string(c.Method), c.ID
	return e.notify(ctx, me.User, "factor.removed", letter)
}

// enrol opens the flow that binds a second factor.
func (e *Engine) enrol(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	d := e.strict(me, idp.FlowEnrol, "/account/factors?saved=enrolled")
	switch d.Object = r.URL.Query().Get("factor"); d.Object {
	case "", string(idp.MethodPasskey), string(idp.MethodTOTP):
		return e.Site.Require(w, r, d)
	}
	return idp.Errorf(idp.NotFound, "error.notfound")
}

// changePassword opens the flow that sets a new password.
func (e *Engine) changePassword(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	return e.Site.Require(w, r, e.strict(me, idp.FlowPassword, "/account/factors?saved=password"))
}

// renewCodes opens the flow that issues recovery codes.
func (e *Engine) renewCodes(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	return e.Site.Require(w, r, e.strict(me, idp.FlowCodes, "/account/factors?saved=codes"))
}
