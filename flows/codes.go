package flows

import (
	"context"
	"encoding/json"
	"net/url"
	"time"

	"hufu/flows/factor/backup"
	"hufu/idp"
	"hufu/templates"
)

// recoveryCodes shows ten new codes for paper, once: they are kept, as hashes, when the
// person says that he has them, and the older set ends.
type recoveryCodes struct{}

func (recoveryCodes) Name() string { return "recovery-codes" }

func (recoveryCodes) Done(s *State) bool {
	if s.Facts.Kept || s.user == nil {
		return true
	}
	if s.Demand.Kind == idp.FlowCodes {
		return false
	}
	return s.Facts.Enrolled == "" || s.codesLeft() >= s.engine.Policy.Now().Paper.Low
}

// codesLeft is how many recovery codes the person has.
func (s *State) codesLeft() int {
	for _, c := range s.of(idp.MethodBackup) {
		return backup.Left(c.Data)
	}
	return 0
}

// codeSet is a new set of codes, until it is kept.
type codeSet struct {
	ID    string    `json:"id"` // that the credential will have: it stands on paper before
	Made  time.Time `json:"made"`
	Codes []string  `json:"codes"`
}

func (recoveryCodes) Begin(_ context.Context, s *State) error {
	if err := s.clear(); err != nil {
		return err
	}
	set, err := json.Marshal(codeSet{ID: idp.NewID(), Made: time.Now(), Codes: backup.NewSet(s.engine.Policy.Now().Paper.Count)})
	s.keep("recovery-codes", set)
	return err
}

func (s *State) newCodes() (set codeSet, err error) {
	if json.Unmarshal(s.Facts.Scratch["recovery-codes"], &set) != nil {
		return set, errExpired
	}
	return set, nil
}

func (recoveryCodes) page(s *State, set codeSet) templates.RecoveryCodes {
	at := func(view string) string { return s.path("recovery-codes", view) }
	return templates.RecoveryCodes{Form: s.Form, Action: s.path("recovery-codes"), Sheet: at("sheet"), Slip: at("slip"), Kit: at("kit"), File: at("file"), Codes: set.Codes,
		Login: s.username(), Operator: s.engine.Site.Operator, IssuerHost: hostOf(s.engine.Site.Issuer), Made: set.Made, Replaces: len(s.of(idp.MethodBackup)) > 0, Steps: s.Facts.Enrolled != ""}
}

func (c recoveryCodes) Show(_ context.Context, s *State) (templates.Content, error) {
	set, err := s.newCodes()
	return c.page(s, set), err
}

func (recoveryCodes) Prepare(ctx context.Context, s *State, form url.Values) error {
	if form.Get("kept") == "" {
		return idp.FieldError("kept", "recovery-codes.keep")
	}
	set, err := s.newCodes()
	if err != nil || !s.strong() {
		return errExpired
	}
	if err := s.engine.mayHash(ctx, s); err != nil {
		return err
	}
	s.hash, err = backup.Seal(ctx, s.engine.Hasher, set.Codes)
	return err
}

func (recoveryCodes) Submit(ctx context.Context, s *State, _ url.Values) error {
	set, err := s.newCodes()
	if err != nil || !s.strong() {
		return errExpired
	}
	e := s.engine
	for _, old := range s.creds {
		if old.Method != idp.MethodBackup {
			continue
		}
		if err := e.retire(ctx, s, old); err != nil {
			return err
		}
	}
	c := idp.Credential{ID: set.ID, UserID: s.user.ID, Method: idp.MethodBackup, Data: s.hash}
	if err := e.Store.AddCredential(ctx, &c); err != nil {
		return err
	}
	s.Facts.Kept = true
	delete(s.Facts.Scratch, "recovery-codes")
	if err := e.event(ctx, s, idp.Event{Name: "codes.issued"}); err != nil {
		return err
	}
	return e.tell(ctx, s, "codes.issued", templatesLetter(s, time.Now()))
}
