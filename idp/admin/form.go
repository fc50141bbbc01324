package admin

import (
	"net/http"
	"slices"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/idp/web"
	"hufu/templates"
)

// A form is a page that asks and the act that follows: something new, or the
// question before an act. It stands at one path for both.
type form struct {
	path   string
	action manage.Action
	fresh  bool
	draw   func(v *visit) (templates.ConsoleForm, error)
	do     func(v *visit) (next string, err error) // "" if it has answered itself
}

// forms lists them all: a new act is one more line.
var forms = []form{
	{"/console/merchants/new", manage.MerchantNew, true, (*visit).newMerchant, (*visit).createMerchant},
	{"/console/merchants/{id}/look", manage.MerchantView, false, (*visit).askMerchantLook, (*visit).lookAtMerchant},
	{"/console/merchants/{id}/stores/new", manage.StoreNew, true, (*visit).newStore, (*visit).createStore},
	{"/console/merchants/{id}/open", manage.MerchantOpen, true, merchantAct("open", false), merchantDo((*manage.Manager).OpenMerchant)},
	{"/console/merchants/{id}/suspend", manage.MerchantStop, true, merchantAct("suspend", true), merchantDo((*manage.Manager).SuspendMerchant)},
	{"/console/merchants/{id}/return", manage.MerchantBack, true, merchantAct("return", false), merchantDo((*manage.Manager).ReturnMerchant)},

	{"/console/users/new", manage.StaffNew, true, (*visit).newUser, (*visit).createUser},
	{"/console/users/{id}/look", manage.UserView, false, (*visit).askLook, (*visit).look},
	{"/console/users/{id}/invite-again", manage.UserInvite, true, userAct("invite-again", false), userDo((*manage.Manager).InviteAgain, "invited-again")},
	{"/console/users/{id}/lock", manage.UserLock, true, userAct("lock", true), userDo((*manage.Manager).LockUser, "changed")},
	{"/console/users/{id}/unlock", manage.UserUnlock, true, userAct("unlock", false), userDo((*manage.Manager).UnlockUser, "changed")},
	{"/console/users/{id}/end-sessions", manage.UserEnd, true, userAct("end-sessions", true), userDo((*manage.Manager).EndSessions, "ended")},
	{"/console/users/{id}/disable", manage.UserDisable, true, userAct("disable", true), userDo((*manage.Manager).DisableUser, "changed")},
	{"/console/users/{id}/enable", manage.UserEnable, true, userAct("enable", false), userDo((*manage.Manager).EnableUser, "changed")},

	{"/console/terminals/new", manage.TerminalNew, true, (*visit).newTerminal, (*visit).createTerminal},
	{"/console/terminals/{id}/suspend", manage.TerminalStop, true, terminalAct("suspend"), terminalDo((*manage.Manager).SuspendTerminal)},
	{"/console/terminals/{id}/lost", manage.TerminalLost, true, terminalAct("lost"), terminalDo((*manage.Manager).LoseTerminal)},
	{"/console/terminals/{id}/retire", manage.TerminalEnd, true, terminalAct("retire"), terminalDo((*manage.Manager).RetireTerminal)},

	{"/console/clients/new", manage.ClientNew, true, (*visit).newClient, (*visit).createClient},
	{"/console/clients/{id}/disable", manage.ClientDisable, true, clientAct("disable", true), clientDo((*manage.Manager).DisableClient)},
	{"/console/clients/{id}/enable", manage.ClientEnable, true, clientAct("enable", false), clientDo((*manage.Manager).EnableClient)},
	{"/console/clients/{id}/secret", manage.ClientSecret, true, (*visit).askSecret, (*visit).newSecret},
}

// show draws a form with nothing typed in it.
func (v *visit) show(f form) error { return v.draw(f, http.StatusOK, nil) }

// submit acts, and draws the form again, with all that was typed, when refused.
func (v *visit) submit(f form) error {
	if err := v.r.ParseForm(); err != nil {
		if web.Status(err) == http.StatusRequestEntityTooLarge {
			return err
		}
		return &idp.Error{Kind: idp.Invalid, Msg: "problem.400.text", Err: err}
	}
	next, err := f.do(v)
	if err == nil {
		if next == "" {
			return nil
		}
		return web.Redirect(v.w, v.r, next)
	}
	list, ok := refusals(err)
	if !ok {
		return err
	}
	status := http.StatusUnprocessableEntity
	if idp.KindOf(err) == idp.Forbidden {
		status = http.StatusForbidden
	}
	return v.draw(f, status, list)
}

func (v *visit) draw(f form, status int, errs []templates.FieldError) error {
	p, err := f.draw(v)
	if err != nil {
		return err
	}
	p.Action, p.Form.Errors = v.r.URL.Path, errs
	if q := v.r.URL.RawQuery; q != "" {
		p.Action += "?" + q
	}
	for i, in := range p.Inputs {
		if v.r.Method == http.MethodPost {
			p.Inputs[i] = typed(in, v.r.PostForm[in.Name])
		}
	}
	// An error of a field that the page does not show belongs to the form as a whole.
	for i, e := range p.Form.Errors {
		if !slices.ContainsFunc(p.Inputs, func(in templates.Input) bool { return in.Name == e.Field }) {
			p.Form.Errors[i].Field = ""
		}
	}
	return v.Site.Write(v.w, v.r, status, p)
}

// typed gives an input what was sent for it.
func typed(in templates.Input, sent []string) templates.Input {
	in.Value = ""
	if len(sent) > 0 {
		in.Value = sent[0]
	}
	in.Options = slices.Clone(in.Options)
	for i, o := range in.Options {
		in.Options[i].Chosen = slices.Contains(sent, o.Value)
	}
	return in
}

func reasonInput() templates.Input {
	return templates.Input{Name: "reason", Label: "reason.label", Hint: "reason.hint", Kind: "reason"}
}

// choices makes options whose words are catalogue keys made of a prefix and the value.
func choices[S ~string](v *visit, prefix string, chosen S, values ...S) []templates.Option {
	var out []templates.Option
	for _, s := range values {
		out = append(out, templates.Option{Value: string(s), Text: v.t(prefix + string(s)), Chosen: s == chosen})
	}
	return out
}

// all is the first option of a filter.
func (v *visit) all(options []templates.Option) []templates.Option {
	return append([]templates.Option{{Text: v.t("filter.all")}}, options...)
}
