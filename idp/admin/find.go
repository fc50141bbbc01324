package admin

import (
	"hufu/idp"
	"hufu/idp/manage"
	"hufu/idp/normal"
	"hufu/storage"
	"hufu/templates"
)

// A found thing is the path of its page and whose look opens that: a person's, a
// merchant's or nobody's.
type found struct{ path, user, merchant string }

// findPage is where a change of language or a sign-in comes back to.
func (v *visit) findPage() error {
	return v.write(v.findings(templates.Empty{Icon: "search", Title: v.t("console.agent.find"), Text: v.t("console.agent.find_small")}))
}

func (v *visit) findings(none templates.Empty) templates.ConsoleList {
	return templates.ConsoleList{Desk: v.desk(""), Title: "console.find", Table: templates.Table{Caption: "console.find"}, None: none}
}

// find opens whatever a typed name, number or code names exactly. What was typed
// stands in the body alone, and nothing else of whom it names is shown before the
// look.
func (v *visit) find() error {
	if err := v.parse(); err != nil {
		return err
	}
	q := plain(v.r.PostFormValue("q"))
	hit, err := v.named(q)
	if err != nil {
		return err
	}
	if hit.path != "" {
		return v.openFound(hit, q)
	}
	p := v.findings(templates.Empty{Icon: "search", Title: v.t("console.none.found", q), Text: v.t("console.none.exact")})
	if q != "" && v.may(manage.MerchantList) {
		rows, err := v.Store.Merchants(v.r.Context(), "", "", q, pageSize)
		if err != nil {
			return err
		}
		p.Table = merchantTable(rows)
	}
	p.Desk.Query = q
	return v.write(p)
}

// openFound goes to the page of what was found or, where that is not open, asks for
// the reason here: the address of the look could not say what was typed.
func (v *visit) openFound(hit found, q string) error {
	seen, ask := true, v.userLook
	var err error
	switch {
	case hit.user != "":
		seen, err = v.userSeen(hit.user)
	case hit.merchant != "":
		seen, err = v.merchantSeen(hit.merchant)
		ask = v.merchantLook
	}
	if err != nil {
		return err
	}
	if seen {
		return redirect(v, hit.path)
	}
	if hit.user != "" {
		needs, err := v.Manage.NeedsCase(v.r.Context(), v.actor(), hit.user)
		if err != nil {
			return err
		}
		if needs {
			return redirect(v, "/console/cases/new?user="+hit.user)
		}
	}
	p := ask(hit.user+hit.merchant, masked(q))
	p.Action += "?to=" + hit.path
	return v.write(p)
}

// masked is what was typed as pages may show it.
func masked(typed string) string {
	if kind, value, ok := normal.Identifier(typed); ok {
		return idp.Identifier{Kind: kind, Value: value}.Masked()
	}
	return typed
}

func (v *visit) named(q string) (found, error) {
	if q == "" {
		return found{}, nil
	}
	ctx := v.r.Context()
	if v.may(manage.ExplainRead) && idp.ValidExplainCode(q) {
		code := digits(q)
		list, err := v.Store.Events(ctx, storage.EventFilter{Explain: code[:3] + "-" + code[3:6] + "-" + code[6:]}, 1)
		if err != nil || len(list) > 0 {
			return found{path: "/console/explain/" + code}, err
		}
	}
	if hit, err := v.caseNamed(q); err != nil || hit.path != "" {
		return hit, err
	}
	if m, err := v.merchantByNo(q); err != nil || m.ID != "" && v.mayWith(manage.MerchantView, manage.Target{Merchant: m.ID}) {
		return found{path: "/console/merchants/" + m.ID, merchant: m.ID}, err
	}
	if id, err := v.person(q); err != nil || id != "" {
		return found{path: "/console/users/" + id, user: id}, err
	}
	if t, err := v.bySerial(q); err != nil || t.ID != "" && v.mayWith(manage.TerminalView, manage.OfTerminal(t)) {
		return found{path: "/console/terminals/" + t.ID, merchant: t.MerchantID}, err
	}
	if u, err := v.Store.User(ctx, q); err == nil && v.mayWith(manage.UserView, manage.OfUser(u)) {
		return found{path: "/console/users/" + u.ID, user: u.ID}, nil
	}
	if c, err := v.Store.Client(ctx, q); err == nil && v.may(manage.ClientRead) {
		return found{path: "/console/clients/" + c.ID}, nil
	}
	return found{}, nil
}

// caseNamed finds a case by its number, which has the form of an explain code.
func (v *visit) caseNamed(q string) (found, error) {
	if !v.may(manage.CaseRead) || !idp.ValidExplainCode(q) {
		return found{}, nil
	}
	code := digits(q)
	c, err := v.Store.CaseByNumber(v.r.Context(), code[:3]+"-"+code[3:6]+"-"+code[6:])
	if err != nil && idp.KindOf(err) == idp.NotFound {
		return found{}, nil
	}
	if err != nil {
		return found{}, err
	}
	u, err := v.Store.User(v.r.Context(), c.UserID)
	if err != nil || !manage.MayCase(v.User, u) {
		return found{}, err
	}
	return found{path: "/console/cases/" + c.ID, user: u.ID}, nil
}
