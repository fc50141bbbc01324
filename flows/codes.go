package flows

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"hufu/flows/factor/backup"
	"hufu/idp"
	"hufu/idp/web"
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

func (recoveryCodes) Begin(_ context.Context, s *State) error {
	if err := s.clear(); err != nil {
		return err
	}
	codes, err := json.Marshal(backup.NewSet(s.engine.Policy.Now().Paper.Count))
	s.keep("recovery-codes", codes)
	return err
}

func (s *State) newCodes() (codes []string, err error) {
	return codes, json.Unmarshal(s.Facts.Scratch["recovery-codes"], &codes)
}

func (recoveryCodes) page(s *State) (templates.RecoveryCodes, error) {
	codes, err := s.newCodes()
	issuer, perr := url.Parse(s.engine.Site.Issuer)
	if err == nil {
		err = perr
	}
	if err != nil {
		return templates.RecoveryCodes{}, err
	}
	p := templates.RecoveryCodes{Form: s.Form, Action: s.path("recovery-codes"), File: s.path("recovery-codes", "file"), Codes: codes, Login: s.username(),
		Operator: s.engine.Site.Operator, IssuerHost: issuer.Host, Made: time.Now(), Replaces: len(s.of(idp.MethodBackup)) > 0,
		Steps: s.Facts.Enrolled != ""}
	if s.merchant != nil {
		p.MerchantName = s.merchant.LegalName
	}
	return p, nil
}

func (c recoveryCodes) Show(_ context.Context, s *State) (templates.Content, error) {
	return c.page(s)
}

// file gives the codes of the page as a text, for a printer or a safe.
func (e *Engine) file(w http.ResponseWriter, r *http.Request) error {
	s, err := e.load(r)
	if err != nil {
		return e.gone(w, r, err)
	}
	st, ok := s.current().(recoveryCodes)
	if !ok || r.PathValue("step") != st.Name() || s.begins(st) {
		return web.Redirect(w, r, s.path())
	}
	p, err := st.page(s)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="hufu-recovery-codes.txt"`)
	h.Set("Cache-Control", "no-store")
	_, err = w.Write([]byte(strings.ReplaceAll(templates.RecoveryFile(e.Site.Lang(r), p), "\n", "\r\n")))
	return err
}

func (recoveryCodes) Prepare(ctx context.Context, s *State, form url.Values) error {
	if form.Get("kept") == "" {
		return idp.FieldError("kept", "recovery-codes.keep")
	}
	codes, err := s.newCodes()
	if err != nil || !s.strong() {
		return errExpired
	}
	if err := s.engine.mayHash(ctx, s); err != nil {
		return err
	}
	s.hash, err = backup.Seal(ctx, s.engine.Hasher, codes)
	return err
}

func (recoveryCodes) Submit(ctx context.Context, s *State, _ url.Values) error {
	if !s.strong() {
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
	c := idp.Credential{UserID: s.user.ID, Method: idp.MethodBackup, Data: s.hash}
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
