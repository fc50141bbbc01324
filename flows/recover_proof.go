package flows

import (
	"context"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"time"

	"hufu/flows/factor"
	"hufu/flows/factor/backup"
	"hufu/idp"
	"hufu/idp/policy"
	"hufu/templates"
)

// stepProof is the step that takes one proof.
const stepProof = "recover-proof"

// The ways to show something, by the value of their buttons: a kind of channel before it is
// known whose it is, "code:ID" of one channel after; the others by name.
const (
	wayPhone    = "introduce:phone"
	wayMail     = "introduce:email"
	wayKit      = "kit"
	wayPassword = "password"
	wayTOTP     = "totp"
	wayPasskey  = "passkey"
	wayTerminal = "terminal"
	wayShop     = "shop"
)

// allows says whether policy lets a kind of proof count.
func (s *State) allows(e idp.Evidence) bool {
	return slices.Contains(s.settings().Recovery.Proofs, string(e))
}

// recoverWays are the ways open now. Before anything is shown they are the same for every
// name, whoever has it.
func (s *State) recoverWays() (out []templates.Way) {
	action := s.path("recover", "way")
	lang := s.engine.Site.Lang(s.request)
	add := func(e idp.Evidence, name string) {
		if s.allows(e) {
			out = append(out, templates.FactorWay(lang, name, action))
		}
	}
	// bound is a code to a channel that is not shown: nobody is known yet.
	bound := func(kind idp.IdentifierKind, e idp.Evidence, name string) {
		if s.allows(e) {
			out = append(out, templates.CodeWay(lang, string(kind), "", action, name))
		}
	}
	if !s.proven() {
		if s.lost() == idp.LostSecond {
			add(idp.ByPassword, wayPassword)
		}
		bound(idp.IdentifierPhone, idp.ByPhone, wayPhone)
		bound(idp.IdentifierEmail, idp.ByMail, wayMail)
		add(idp.ByKit, wayKit)
		add(idp.ByTerminal, wayTerminal)
		return append(out, templates.FactorWay(lang, wayShop, action))
	}
	for _, c := range s.channels() {
		if s.allows(kindOfChannel(c)) && !s.gave(c.ID) {
			out = append(out, templates.CodeWay(lang, string(c.Kind), c.Masked(), action, "code:"+c.ID))
		}
	}
	if s.lost() == idp.LostSecond && !s.gaveMethod(idp.MethodPassword) {
		add(idp.ByPassword, wayPassword)
	}
	if set := of(s.creds, idp.MethodBackup); set != nil && set.Blocked == "" && backup.Left(set.Data) > 0 && !s.gaveMethod(idp.MethodBackup) {
		add(idp.ByKit, wayKit)
	}
	if len(s.of(idp.MethodTOTP)) > 0 && !s.gaveMethod(idp.MethodTOTP) {
		add(idp.ByApp, wayTOTP)
	}
	if len(s.of(idp.MethodPasskey)) > 0 && !s.gaveMethod(idp.MethodPasskey) {
		add(idp.ByKey, wayPasskey)
	}
	if s.merchant != nil && !s.gaveExtra(idp.ByTerminal) {
		add(idp.ByTerminal, wayTerminal)
	}
	return out
}

func kindOfChannel(n idp.Identifier) idp.Evidence {
	if n.Kind == idp.IdentifierEmail {
		return idp.ByMail
	}
	return idp.ByPhone
}

func (s *State) gave(credential string) bool {
	return slices.ContainsFunc(s.Facts.Proofs, func(p idp.Proof) bool { return p.Credential == credential })
}

func (s *State) gaveMethod(m idp.Method) bool {
	return slices.ContainsFunc(s.Facts.Proofs, func(p idp.Proof) bool { return p.Method == m })
}

func (s *State) gaveExtra(by idp.Evidence) bool {
	return s.Facts.Recover != nil && slices.ContainsFunc(s.Facts.Recover.Extra, func(x idp.Shown) bool { return x.By == by })
}

// recoverProof takes the proof that was chosen. Names that nobody has are asked the same.
type recoverProof struct{}

func (recoverProof) Name() string { return stepProof }

func (recoverProof) Done(s *State) bool { return s.Facts.Way == "" }

// Choose goes back to the other ways.
func (recoverProof) Choose(s *State, way string) bool {
	s.Facts.Way = ""
	delete(s.Facts.Scratch, stepProof)
	return way == "other"
}

// target is the channel that the code goes to: the person's first of the kind, or one that
// nobody has, under whose id the same is counted.
func (s *State) target() idp.Identifier {
	if id, ok := strings.CutPrefix(s.Facts.Way, "code:"); ok {
		for _, c := range s.channels() {
			if c.ID == id {
				return c
			}
		}
	}
	kind := idp.IdentifierPhone
	if s.Facts.Way == wayMail {
		kind = idp.IdentifierEmail
	}
	for _, c := range s.channels() {
		if c.Kind == kind {
			return c
		}
	}
	return idp.Identifier{ID: hex.EncodeToString(s.account()) + "/" + string(kind), Kind: kind}
}

// proofAttempt is the factor of the chosen way, and the attempt at it.
func (s *State) proofAttempt() (factor.Factor, *factor.Attempt) {
	e := s.engine
	var f factor.Factor
	var a *factor.Attempt
	switch s.Facts.Way {
	case wayKit:
		f, a = e.Backup, s.attempt(stepProof, idp.MethodBackup)
	case wayPassword:
		f, a = e.Password, s.attempt(stepProof, idp.MethodPassword)
	case wayTOTP:
		f, a = e.TOTP, s.attempt(stepProof, idp.MethodTOTP)
	case wayPasskey:
		f, a = e.Passkey, s.attempt(stepProof, idp.MethodPasskey)
		a.Passkey = s.passkey(stepProof, false)
	default:
		f, a = e.Code, s.attempt(stepProof, idp.MethodSMS)
		r := e.Policy.Now().Returns
		a.Channels, a.Whoever, a.Digits, a.Life, a.Purpose = []idp.Identifier{s.target()}, !s.proven(), r.Digits, r.Life, "purpose.recover"
	}
	a.Steps, a.Form.Prove, a.Again = false, true, ""
	a.Ways = []templates.Way{templates.FactorWay(e.Site.Lang(s.request), "other", s.path(stepProof, "way"))}
	return f, a
}

func (recoverProof) Begin(ctx context.Context, s *State) error {
	switch s.Facts.Way {
	case wayTerminal:
		return s.askTerminal(ctx)
	case wayShop:
		return s.person(ctx)
	}
	if err := s.person(ctx); err != nil {
		return err
	}
	f, a := s.proofAttempt()
	if f.Method() == idp.MethodSMS {
		if err := s.start(ctx); err != nil {
			return err
		}
	}
	if err := f.Begin(ctx, a); err != nil {
		return s.unsent(err)
	}
	s.keep(stepProof, a.Scratch)
	return nil
}

// start charges the beginning of a recovery to the typed name. Over the limit the page is
// the same, and nothing is sent.
func (s *State) start(ctx context.Context) error {
	if s.proven() || s.found().Started {
		return nil
	}
	b := s.engine.Policy.Now().Returns.Start
	ok, _, err := s.engine.Store.TakeBucket(ctx, "recover.start", s.name(), b.Burst, b.Refill, time.Now())
	if err != nil {
		return err
	}
	f := s.found()
	if f.Started, s.muted = ok, !ok; ok || f.Refused == "send.limit" { // once in the log
		return nil
	}
	f.Refused = "send.limit"
	_, err = s.engine.explain(ctx, s, idp.Event{Reason: "send.limit", Data: map[string]any{"limit": "recover.start"}})
	return err
}

func (recoverProof) Show(ctx context.Context, s *State) (templates.Content, error) {
	switch s.Facts.Way {
	case wayTerminal:
		return s.showTerminal(ctx)
	case wayShop:
		return s.showShop(), nil
	}
	if err := s.person(ctx); err != nil {
		return nil, err
	}
	f, a := s.proofAttempt()
	var err error
	if f.Method() == idp.MethodSMS {
		if a.Channels[0].Kind == idp.IdentifierPhone {
			a.SendWork, err = s.engine.work(ctx, s, true)
		}
	} else if f.Method() != idp.MethodPasskey {
		a.Work, err = s.engine.work(ctx, s, false)
	}
	if err != nil {
		return nil, err
	}
	return f.Show(ctx, a)
}

func (recoverProof) Challenge(ctx context.Context, s *State) ([]byte, error) {
	if s.Facts.Way != wayPasskey || !s.proven() {
		return nil, errFaster
	}
	return s.challenge(ctx)
}

func (recoverProof) Prepare(ctx context.Context, s *State, form url.Values) (err error) {
	switch s.Facts.Way {
	case wayTerminal:
		return s.person(ctx)
	case wayShop:
		if _, err := s.engine.shopCode(form); err != nil {
			return err
		}
		return s.person(ctx)
	}
	if err := s.person(ctx); err != nil {
		return err
	}
	f, a := s.proofAttempt()
	switch f.Method() {
	case idp.MethodPasskey:
		if !s.proven() {
			return errFaster
		}
		return s.asserted(ctx, form)
	case idp.MethodSMS:
		s.answer, err = s.engine.Code.Check(ctx, a, form)
		return err
	}
	if err := s.engine.waiting(ctx, s, f.Method()); err != nil {
		return err
	}
	if s.Facts.Way == wayKit && form.Get("code") == "" && form.Get("kit") != "" {
		if form, err = s.engine.kitCode(ctx, s, form); err != nil {
			return err
		}
	}
	if err := f.Read(form); err != nil { // before work is used up for it
		return err
	}
	if err := s.engine.paid(ctx, s, form, false); err != nil {
		return err
	}
	s.answer, err = f.Check(ctx, a, form)
	return err
}

func (recoverProof) Submit(ctx context.Context, s *State, form url.Values) error {
	switch s.Facts.Way {
	case wayTerminal:
		return s.terminalAnswered(ctx)
	case wayShop:
		return s.shopAnswered(ctx, form)
	}
	if s.answer.Right {
		s.noteStale(s.answer.Credential)
	}
	f, _ := s.proofAttempt()
	var err error
	switch f.Method() {
	case idp.MethodPasskey:
		err = s.engine.settlePasskey(ctx, s)
	case idp.MethodSMS:
		err = s.engine.settle(ctx, s, stepProof, methodRecover)
	default:
		err = s.engine.settle(ctx, s, stepProof, f.Method())
	}
	if err != nil {
		return err
	}
	s.Facts.Way, s.Facts.Begun = "", ""
	delete(s.Facts.Scratch, stepProof)
	if s.user == nil { // of a name that nobody has nothing is ever right
		return errExpired
	}
	return s.engine.event(ctx, s, idp.Event{Name: "recovery.proof", Data: map[string]any{"by": string(f.Method())}})
}

// noteStale keeps that a phone had been unproven for long before its code came back now.
func (s *State) noteStale(id string) {
	n := named(s.names, id)
	if n == nil || n.Kind != idp.IdentifierPhone {
		return
	}
	if _, stale := s.settings().Recovery.Phone(n.VerifiedAt, n.LastProvenAt, time.Now()); stale {
		s.found().Stale = append(s.found().Stale, id)
	}
}

// shownNow is what was shown, each with why it counts for nothing, if it does.
func (s *State) shownNow(ctx context.Context, now time.Time) (out []idp.Shown, err error) {
	r := s.settings().Recovery
	for _, p := range s.Facts.Proofs {
		if p.User != s.User {
			continue
		}
		if v, ok := s.channelShown(p, r, now); ok {
			out = append(out, v)
		} else if v, ok := s.credentialShown(p, r, now); ok {
			out = append(out, v)
		}
	}
	if b := s.browser; b != nil && desktop(b.Label) && s.allows(idp.ByComputer) && now.Sub(b.CreatedAt) >= r.Settled {
		out = append(out, idp.Shown{By: idp.ByComputer, ID: b.ID, At: now})
	}
	if s.Facts.Recover == nil {
		return out, nil
	}
	for _, x := range s.Facts.Recover.Extra {
		switch x.By {
		case idp.ByTerminal:
			x.Void, err = s.terminalVoid(ctx, x.ID, r, now)
		case idp.ByShop:
			x.Void, err = s.shopVoid(ctx, x.ID, now)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// shopVoid is why the code that somebody gave in the shop counts no more, "" when it does: he
// must be one who could give it now, to who its person is now.
func (s *State) shopVoid(ctx context.Context, giver string, now time.Time) (string, error) {
	g, err := s.engine.Store.User(ctx, giver)
	if err != nil && idp.KindOf(err) != idp.NotFound {
		return "", err
	}
	if err != nil || !g.Helps(*s.user, now) || s.merchant == nil || s.merchant.Status == idp.MerchantSuspended || s.merchant.Status == idp.MerchantClosed {
		return "shop", nil
	}
	return "", nil
}

// desktop says whether a browser's label is of the desktop class: one on a phone is in the
// same pocket as its messages.
func desktop(label string) bool {
	return slices.ContainsFunc([]string{"Windows", "macOS", "ChromeOS", "Linux"}, func(system string) bool { return strings.HasSuffix(label, " · "+system) })
}

func (s *State) channelShown(p idp.Proof, r policy.Recovery, now time.Time) (idp.Shown, bool) {
	n := named(s.names, p.Credential)
	if n == nil || !n.Channel() {
		return idp.Shown{}, false
	}
	v := idp.Shown{By: kindOfChannel(*n), ID: n.ID, At: p.At}
	switch {
	case now.Before(n.DisputedUntil):
		v.Void = "disputed"
	case v.By == idp.ByPhone:
		v.Void, _ = r.Phone(n.VerifiedAt, n.LastProvenAt, now)
		v.Stale = slices.Contains(s.Facts.Recover.Stale, n.ID)
	case !r.Old(n.VerifiedAt, now):
		v.Void = "proof.weak"
	}
	return v, true
}

func (s *State) credentialShown(p idp.Proof, r policy.Recovery, now time.Time) (idp.Shown, bool) {
	c, ok := s.unchanged(p.Credential, p.At)
	if !ok {
		return idp.Shown{}, false
	}
	v := idp.Shown{ID: c.ID, At: p.At}
	switch {
	case p.Method == idp.MethodPassword:
		v.By = idp.ByPassword
		if len(c.Via) > 0 {
			v.Groups = c.Via
		}
		return v, true
	case p.Method == idp.MethodBackup:
		v.By = idp.ByKit
	case p.Method == idp.MethodTOTP:
		v.By = idp.ByApp
	case p.Method == idp.MethodPasskey && p.UserVerified:
		v.By = idp.ByKey
	case p.Method == idp.MethodPasskey:
		v.By = idp.ByApp
	default:
		return idp.Shown{}, false
	}
	if !r.Old(c.CreatedAt, now) {
		v.Void = "proof.weak"
	}
	return v, true
}

// unchanged is a credential that is there as it was shown at a time.
func (s *State) unchanged(id string, at time.Time) (idp.Credential, bool) {
	for _, c := range s.creds {
		if c.ID == id && c.Blocked == "" && !c.ChangedAt.After(at) {
			return c, true
		}
	}
	return idp.Credential{}, false
}

// stillShown is why what was shown for a recovery that has waited counts no more, "" when it
// does.
func (s *State) stillShown(ctx context.Context, v idp.Shown, r policy.Recovery, now time.Time) (void string, err error) {
	there := true
	switch v.By {
	case idp.ByPhone, idp.ByMail:
		n := named(s.names, v.ID)
		if there = n != nil && n.Channel(); there && now.Before(n.DisputedUntil) {
			return "disputed", nil
		}
	case idp.ByTerminal:
		return s.terminalVoid(ctx, v.ID, r, now)
	case idp.ByComputer:
		known, err := s.engine.Store.Browsers(ctx, s.User)
		if err != nil {
			return "", err
		}
		there = slices.ContainsFunc(known, func(b idp.Browser) bool { return b.ID == v.ID })
	case idp.ByShop:
		return s.shopVoid(ctx, v.ID, now)
	case idp.ByCase:
	default:
		_, there = s.unchanged(v.ID, v.At)
	}
	if !there {
		return "proof.gone", nil
	}
	return "", nil
}

// via are the groups that set a password by a recovery, as channels of its proof: a code on
// one of theirs is no second factor beside it.
func (s *State) via(credential string) (out []string) {
	for _, c := range s.creds {
		if c.ID == credential && c.Method == idp.MethodPassword {
			for _, g := range c.Via {
				out = append(out, string(g))
			}
		}
	}
	return out
}

// corroborate: a proof of a group that did not set the password joins it, from then on the
// password stands in memory alone.
func (e *Engine) corroborate(ctx context.Context, s *State, own []idp.Proof) error {
	c := of(s.creds, idp.MethodPassword)
	if c == nil || len(c.Via) == 0 || !slices.ContainsFunc(own, func(p idp.Proof) bool { return p.Method == idp.MethodPassword }) {
		return nil
	}
	for _, p := range own {
		g := evidenceOf(p).Group()
		if g != "" && g != idp.GroupMemory && !slices.Contains(c.Via, g) {
			return e.Store.SetVia(ctx, c.ID, nil)
		}
	}
	return nil
}

// evidenceOf is the kind of evidence that a proof of a sign-in is.
func evidenceOf(p idp.Proof) idp.Evidence {
	switch p.Method {
	case idp.MethodSMS:
		return idp.ByPhone
	case idp.MethodMail:
		return idp.ByMail
	case idp.MethodBackup:
		return idp.ByKit
	case idp.MethodTOTP:
		return idp.ByApp
	case idp.MethodPasskey:
		return idp.ByKey
	case idp.MethodPassword:
		return idp.ByPassword
	}
	return ""
}
