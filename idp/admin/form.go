package admin

import (
	"errors"
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
	open   func(v *visit) (bool, error) // the gate of what the form is about; nil: of nobody
	draw   func(v *visit) (templates.ConsoleForm, error)
	do     func(v *visit) (next string, err error) // "" if it has answered itself
}

// forms lists them all: a new act is one more line.
var forms = []form{
	{"/console/merchants/new", manage.MerchantNew, true, nil, (*visit).newMerchant, (*visit).createMerchant},
	{"/console/merchants/{id}/look", manage.MerchantView, false, (*visit).merchantMine, (*visit).askMerchantLook, (*visit).lookAtMerchant},
	{"/console/merchants/{id}/stores/new", manage.StoreNew, true, (*visit).merchantPathOpen, (*visit).newStore, (*visit).createStore},
	{"/console/merchants/{id}/open", manage.MerchantOpen, true, (*visit).merchantPathOpen, merchantAct("open", false), merchantDo((*manage.Manager).OpenMerchant)},
	{"/console/merchants/{id}/suspend", manage.MerchantStop, true, (*visit).merchantPathOpen, merchantAct("suspend", true), merchantDo((*manage.Manager).SuspendMerchant)},
	{"/console/merchants/{id}/return", manage.MerchantBack, true, (*visit).merchantPathOpen, merchantAct("return", false), merchantDo((*manage.Manager).ReturnMerchant)},
	{"/console/merchants/{id}/close", manage.MerchantClose, true, (*visit).merchantPathOpen, merchantAct("close", true), merchantDo((*manage.Manager).CloseMerchant)},
	{"/console/merchants/{id}/tier", manage.TierDown, true, (*visit).merchantPathOpen, (*visit).askTier, (*visit).changeTier},

	{"/console/users/new", manage.StaffNew, true, nil, (*visit).newUser, (*visit).createUser},
	{"/console/users/{id}/look", manage.UserView, false, (*visit).userMine, (*visit).askLook, (*visit).look},
	{"/console/users/{id}/invite-again", manage.UserInvite, true, (*visit).userPathOpen, userAct("invite-again", false), userDo((*manage.Manager).InviteAgain, "invited-again")},
	{"/console/users/{id}/lock", manage.UserLock, true, (*visit).userPathOpen, userAct("lock", true), userDo((*manage.Manager).LockUser, "changed")},
	{"/console/users/{id}/unlock", manage.UserUnlock, true, (*visit).userPathOpen, userAct("unlock", false), userDo((*manage.Manager).UnlockUser, "changed")},
	{"/console/users/{id}/end-sessions", manage.UserEnd, true, (*visit).userPathOpen, userAct("end-sessions", true), userDo((*manage.Manager).EndSessions, "ended")},
	{"/console/users/{id}/disable", manage.UserDisable, true, (*visit).userPathOpen, userAct("disable", true), userDo((*manage.Manager).DisableUser, "changed")},
	{"/console/users/{id}/enable", manage.UserEnable, true, (*visit).enableOpen, userAct("enable", false), userDo((*manage.Manager).EnableUser, "changed")},
	{"/console/users/{id}/role", manage.RoleChange, true, (*visit).userPathOpen, (*visit).askRole, (*visit).changeRole},
	{"/console/users/{id}/leave", manage.UserLeave, true, (*visit).userPathOpen, userAct("leave", true), userDo((*manage.Manager).RemoveStaff, "changed")},
	{"/console/users/{id}/staff-role", manage.StaffRole, true, (*visit).operatorPathOpen, (*visit).askStaffRole, (*visit).changeStaffRole},
	{"/console/users/{id}/staff-leave", manage.StaffLeave, true, (*visit).operatorPathOpen, userAct("staff-leave", true), userDo((*manage.Manager).RemoveOperator, "changed")},
	{"/console/users/{id}/leaving", manage.UserLeave, true, (*visit).userPathOpen, (*visit).askLeaving, (*visit).setLeaving},
	{"/console/users/{id}/help", manage.UserHelp, true, (*visit).userPathOpen, userAct("help", false), (*visit).helpStaff},
	{"/console/staff/new", manage.CashierNew, true, nil, (*visit).newStaff, (*visit).inviteStaff},

	{"/console/stores/{id}/rename", manage.StoreRename, true, (*visit).storePathOpen, (*visit).askRename, (*visit).renameStore},

	{"/console/terminals/new", manage.TerminalNew, true, (*visit).newTerminalOpen, (*visit).newTerminal, (*visit).createTerminal},
	{"/console/terminals/{id}/suspend", manage.TerminalStop, true, (*visit).terminalPathOpen, terminalAct("suspend", true), terminalDo((*manage.Manager).SuspendTerminal)},
	{"/console/terminals/{id}/lost", manage.TerminalLost, true, (*visit).terminalPathOpen, terminalAct("lost", true), terminalDo((*manage.Manager).LoseTerminal)},
	{"/console/terminals/{id}/return", manage.TerminalBack, true, (*visit).terminalPathOpen, terminalAct("return", false), terminalDo((*manage.Manager).ReturnTerminal)},
	{"/console/terminals/{id}/found", manage.TerminalFound, true, (*visit).terminalPathOpen, terminalAct("found", false), terminalDo((*manage.Manager).FoundTerminal)},
	{"/console/terminals/{id}/retire", manage.TerminalEnd, true, (*visit).terminalPathOpen, terminalAct("retire", true), terminalDo((*manage.Manager).RetireTerminal)},

	{"/console/clients/new", manage.ClientNew, true, nil, (*visit).newClient, (*visit).createClient},
	{"/console/clients/{id}/change", manage.ClientChange, true, nil, (*visit).askChange, (*visit).changeClient},
	{"/console/clients/{id}/disable", manage.ClientDisable, true, nil, clientAct("disable", true), clientDo((*manage.Manager).DisableClient)},
	{"/console/clients/{id}/enable", manage.ClientEnable, true, nil, clientAct("enable", false), clientDo((*manage.Manager).EnableClient)},
	{"/console/clients/{id}/secret", manage.ClientSecret, true, nil, (*visit).askSecret, (*visit).newSecret},

	{"/console/keys/rotate", manage.KeyRotate, true, nil, (*visit).askRotation, (*visit).rotateKeys},

	{"/console/approvals/{id}/approve", manage.ApprovalDecide, true, (*visit).approvalPathOpen, approvalAct("approve", false), approvalDo((*manage.Manager).Approve)},
	{"/console/approvals/{id}/refuse", manage.ApprovalRefuse, true, (*visit).approvalPathOpen, approvalAct("refuse", true), approvalDo((*manage.Manager).Refuse)},
	{"/console/approvals/{id}/withdraw", manage.ApprovalEnd, true, (*visit).approvalPathOpen, approvalAct("withdraw", true), approvalDo((*manage.Manager).Withdraw)},
	{"/console/approvals/{id}/collect", manage.ApprovalCollect, true, (*visit).approvalPathOpen, (*visit).askCollection, (*visit).collect},
	{"/console/users/{id}/documents", manage.UserDocuments, true, (*visit).userPathOpen, (*visit).askDocuments, (*visit).setDocuments},
	{"/console/users/{id}/team", manage.StaffTeam, true, (*visit).userPathOpen, (*visit).askTeam, (*visit).setTeam},
	{"/console/users/{id}/reveal", manage.UserReveal, true, (*visit).userPathOpen, (*visit).askReveal, (*visit).reveal},

	{"/console/cases/new", manage.CaseOpen, true, nil, (*visit).newCase, (*visit).openCase},
	{"/console/cases/{id}/take", manage.CaseWork, true, (*visit).casePathOpen, caseAct("take", false), caseDo((*manage.Manager).TakeCase, "changed")},
	{"/console/cases/{id}/release", manage.CaseWork, true, (*visit).casePathOpen, caseAct("release", false), caseDo((*manage.Manager).ReleaseCase, "changed")},
	{"/console/cases/{id}/evidence", manage.CaseEvidence, true, (*visit).casePathOpen, (*visit).askEvidence, (*visit).compare},
	{"/console/cases/{id}/call", manage.CaseCall, true, (*visit).casePathOpen, caseAct("call", false), (*visit).startCall},
	{"/console/cases/{id}/digits", manage.CaseCall, true, (*visit).casePathOpen, (*visit).askDigits, (*visit).hear},
	{"/console/cases/{id}/stop", manage.CaseStop, true, (*visit).casePathOpen, caseAct("stop", true), caseDo((*manage.Manager).StopCaller, "changed")},
	{"/console/cases/{id}/address", manage.CaseEvidence, true, (*visit).casePathOpen, (*visit).askAddress, (*visit).address},
	{"/console/cases/{id}/answer", manage.CaseAnswer, true, (*visit).casePathOpen, (*visit).askAnswer, (*visit).answer},
	{"/console/cases/{id}/submit", manage.CaseEvidence, true, (*visit).casePathOpen, caseAct("submit", false), caseDo((*manage.Manager).SubmitCase, "changed")},
	{"/console/cases/{id}/approve", manage.CaseApprove, true, (*visit).casePathOpen, (*visit).askApprove, (*visit).approve},
	{"/console/cases/{id}/refuse", manage.CaseRefuse, true, (*visit).casePathOpen, caseAct("refuse", true), caseDo((*manage.Manager).RefuseCase, "changed")},

	{"/console/messages/{id}/resend", manage.MessageResend, true, nil, (*visit).askResend, (*visit).resend},
}

// show draws a form with nothing typed in it.
func (v *visit) show(f form) error {
	if ok, err := f.opens(v); err != nil || !ok {
		return err
	}
	return v.draw(f, http.StatusOK, nil)
}

func (f form) opens(v *visit) (bool, error) {
	if f.open == nil {
		return true, nil
	}
	return f.open(v)
}

// parse reads a form's fields.
func (v *visit) parse() error {
	err := v.r.ParseForm()
	if err == nil || web.Status(err) == http.StatusRequestEntityTooLarge {
		return err
	}
	return &idp.Error{Kind: idp.Invalid, Msg: "problem.400.text", Err: err}
}

// submit acts, and draws the form again, with all that was typed, when refused or
// when the proof is to be given again first.
func (v *visit) submit(f form) error {
	if err := v.parse(); err != nil {
		return err
	}
	if ok, err := f.opens(v); err != nil || !ok {
		return err
	}
	if v.stale {
		return v.draw(f, http.StatusUnprocessableEntity, nil)
	}
	next, err := f.do(v)
	if err == nil {
		if next == "" {
			return nil
		}
		return web.Redirect(v.w, v.r, next)
	}
	if w, ok := errors.AsType[*manage.Waiting](err); ok {
		return web.Redirect(v.w, v.r, "/console/approvals/"+w.ID+"?saved=asked")
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
	if p.Note == nil && slices.Contains(manage.ApprovalActs(v.User), string(f.action)) {
		if err := v.needsSecond(&p, f.action, "approval.note"); err != nil {
			return err
		}
		p.Submit = "approval.ask"
	}
	p.Action, p.Form.Errors = v.r.URL.Path, errs
	if q := v.r.URL.RawQuery; q != "" {
		p.Action += "?" + q
	}
	if v.stale {
		p.Confirm = p.Action
	}
	// Whoever was told that something changed decides anew, on what stands there now.
	moved := slices.ContainsFunc(errs, func(e templates.FieldError) bool { return e.Key == "error.moved" })
	for i, in := range p.Inputs {
		if v.r.Method == http.MethodPost && !(moved && in.Kind == "hidden") {
			p.Inputs[i] = typed(in, v.r.PostForm[in.Name])
		}
	}
	place := func(e templates.FieldError) int {
		return slices.IndexFunc(p.Inputs, func(in templates.Input) bool { return in.Name == e.Field })
	}
	slices.SortStableFunc(p.Form.Errors, func(a, b templates.FieldError) int { return place(a) - place(b) })
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

// reasonField is the field for the reason of an act: asked of whom the table asks it of, and of
// the others welcome.
func (v *visit) reasonField() templates.Input {
	in := reasonInput()
	if !v.whole() {
		in.Hint = "reason.hint_shop"
	}
	in.Optional = manage.May(v.User.Role, v.action).Level() == manage.Yes
	return in
}

// withReason adds it to fields where a reason is owed, nothing otherwise.
func (v *visit) withReason(fields ...templates.Input) []templates.Input {
	if in := v.reasonField(); !in.Optional {
		fields = append(fields, in)
	}
	return fields
}

// owing is the actor of a form made by withReason: a reason that it did not ask for is
// not taken.
func (v *visit) owing() manage.Actor {
	a := v.actor()
	if v.reasonField().Optional {
		a.Reason = ""
	}
	return a
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
