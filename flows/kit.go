package flows

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"hufu/flows/factor/backup"
	"hufu/idp"
	"hufu/idp/kit"
	"hufu/idp/normal"
	"hufu/idp/qr"
	"hufu/idp/web"
	"hufu/storage"
	"hufu/templates"
)

// The recovery kit: new codes on a sheet, on a slip of a terminal's printer and in a file under a passphrase; and the
// page that opens such a file. All of it is made while the codes are shown, for afterwards nobody knows them.

// kitRoutes are the views of new codes, and what opens a kit.
func (e *Engine) kitRoutes(page func(pattern string, h web.Handler)) {
	page("GET /flows/{flow}/recovery-codes/sheet", e.withCodes(e.sheet))
	page("GET /flows/{flow}/recovery-codes/slip", e.withCodes(e.slip))
	page("GET /flows/{flow}/recovery-codes/kit", e.withCodes(e.kitFilePage))
	page("POST /flows/{flow}/recovery-codes/kit", e.withCodes(e.kitFile))
	page("GET /flows/{flow}/recovery-codes/file", e.withCodes(e.codesFile))
	page("GET /kit", e.kitPage)
	page("POST /kit", e.showKit)
}

// withCodes serves a view of the new codes of a flow, while its page shows them.
func (e *Engine) withCodes(h func(w http.ResponseWriter, r *http.Request, s *State, set codeSet) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := r.ParseForm(); err != nil {
			return badForm(err)
		}
		s, err := e.load(r)
		if err != nil {
			return e.gone(w, r, err)
		}
		st, ok := s.current().(recoveryCodes)
		if !ok || s.begins(st) {
			return web.Redirect(w, r, s.path())
		}
		set, err := s.newCodes()
		if err != nil {
			return e.gone(w, r, err)
		}
		return h(w, r, s, set)
	}
}

// kit is what the flow's person takes with him beside the codes.
func (s *State) kit(ctx context.Context, set codeSet) (kit.Kit, error) {
	e := s.engine
	k := kit.Kit{Kind: kit.Kind, Version: kit.Version, Issuer: e.Site.Issuer, Set: set.ID, Made: set.Made.UTC().Truncate(time.Second), User: s.username(), Codes: set.Codes}
	if s.merchant == nil {
		return k, nil
	}
	k.Merchant = &kit.Merchant{Number: s.merchant.No, LegalName: s.merchant.LegalName}
	mine := storage.TerminalFilter{Merchant: s.merchant.ID, Store: s.user.StoreID, State: idp.TerminalActive}
	terminals, err := e.Store.TerminalsBy(ctx, mine, kit.MostTerminals+1)
	if err != nil {
		return k, err
	}
	stores, err := e.Store.Stores(ctx, s.merchant.ID)
	if err != nil {
		return k, err
	}
	name := map[string]string{}
	for _, st := range stores {
		name[st.ID] = st.Name
	}
	k.Merchant.More = len(terminals) > kit.MostTerminals
	for _, t := range terminals[:min(len(terminals), kit.MostTerminals)] {
		k.Merchant.Terminals = append(k.Merchant.Terminals, kit.Terminal{Tail: t.SerialTail(), Model: t.Model, Store: name[t.StoreID]})
	}
	return k, nil
}

// kitPaper is a kit as pages show it.
func kitPaper(k kit.Kit) templates.KitPaper {
	p := templates.KitPaper{Host: hostOf(k.Issuer), Login: k.User, Codes: k.Codes, Made: k.Made}
	if k.Merchant == nil {
		return p
	}
	p.MerchantNo, p.MerchantName, p.More = k.Merchant.Number, k.Merchant.LegalName, k.Merchant.More
	for _, t := range k.Merchant.Terminals {
		p.Terminals = append(p.Terminals, templates.KitTerminal{Tail: t.Tail, Model: t.Model, Store: t.Store})
	}
	return p
}

func hostOf(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return issuer
	}
	return cmp.Or(u.Host, issuer)
}

// sheet is the kit on A4.
func (e *Engine) sheet(w http.ResponseWriter, r *http.Request, s *State, set codeSet) error {
	return e.paper(w, r, s, set, false)
}

// slip is the kit as the printer of a terminal takes it.
func (e *Engine) slip(w http.ResponseWriter, r *http.Request, s *State, set codeSet) error {
	return e.paper(w, r, s, set, true)
}

func (e *Engine) paper(w http.ResponseWriter, r *http.Request, s *State, set codeSet, slip bool) error {
	k, err := s.kit(r.Context(), set)
	if err != nil {
		return err
	}
	p := kitPaper(k)
	p.Slip, p.Back = slip, s.path("recovery-codes")
	mark := kit.Mark{Set: k.Set, Day: k.Made.In(e.Site.Zone)}.Text(e.Store.MAC)
	if p.QR, err = qr.SVG(e.Site.Issuer+"/console/kit?mark="+mark, templates.T(e.Site.Lang(r), "kit.qr")); err != nil {
		return err
	}
	return e.Site.Write(w, r, http.StatusOK, p)
}

// codesFile gives the codes of the page as a text, for a printer or a safe.
func (e *Engine) codesFile(w http.ResponseWriter, r *http.Request, s *State, set codeSet) error {
	text := templates.RecoveryFile(e.Site.Lang(r), recoveryCodes{}.page(s, set))
	return download(w, "text/plain; charset=utf-8", "hufu-recovery-codes.txt", []byte(strings.ReplaceAll(text, "\n", "\r\n")))
}

func download(w http.ResponseWriter, kind, name string, content []byte) error {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Cache-Control", "no-store")
	_, err := w.Write(content)
	return err
}

// kitFilePage asks for the passphrase of the file.
func (e *Engine) kitFilePage(w http.ResponseWriter, r *http.Request, s *State, _ codeSet) error {
	return e.Site.Write(w, r, http.StatusOK, s.kitFileForm())
}

func (s *State) kitFileForm() templates.KitFile {
	return templates.KitFile{Form: s.Form, Action: s.path("recovery-codes", "kit"), Back: s.path("recovery-codes"), Least: s.engine.Policy.Now().Paper.KitLength,
		Address: hostOf(s.engine.Site.Issuer) + "/kit"}
}

// kitFile gives the kit as a file under the passphrase, which is kept nowhere.
func (e *Engine) kitFile(w http.ResponseWriter, r *http.Request, s *State, set codeSet) error {
	file, err := e.sealedKit(r.Context(), s, set, r.PostForm)
	refusal, ok := errors.AsType[*idp.Error](err)
	switch {
	case ok && refusal.Kind == idp.Invalid:
		s.Form.Errors = []templates.FieldError{{Field: refusal.Field, Key: refusal.Msg, Args: refusal.Args}}
		return e.Site.Write(w, r, http.StatusUnprocessableEntity, s.kitFileForm())
	case ok && refusal.Kind == idp.Limited:
		return e.wait(w, r, s, refusal)
	case err != nil:
		return err
	}
	return download(w, "application/octet-stream", "hufu-kit-"+set.Made.In(e.Site.Zone).Format(time.DateOnly)+".age", file)
}

func (e *Engine) sealedKit(ctx context.Context, s *State, set codeSet, form url.Values) ([]byte, error) {
	passphrase, err := s.passphrase(ctx, form)
	if err != nil {
		return nil, err
	}
	k, err := s.kit(ctx, set)
	if err != nil {
		return nil, err
	}
	release, err := e.Hasher.Slot(ctx, true)
	if err != nil {
		return nil, err
	}
	defer release()
	return kit.Seal(k, passphrase)
}

// passphrase is the new one of a file, exactly as it was typed: the age tool is given the same. It is held to more than
// a password, for whoever finds the file guesses where nobody counts, and is not to be the password, which he would
// find with it.
func (s *State) passphrase(ctx context.Context, form url.Values) (string, error) {
	e, plain := s.engine, form.Get("passphrase")
	least, rules := e.Policy.Now().Paper, s.passwordRules()
	rules.MinLength, rules.MinScore, rules.MaxLength = 0, max(rules.MinScore, least.KitStrength), 0
	switch n := len([]rune(plain)); {
	case plain == "":
		return "", idp.FieldError("passphrase", "kit.passphrase_empty")
	case n < least.KitLength:
		return "", idp.FieldError("passphrase", "kit.passphrase_short", least.KitLength)
	case plain != form.Get("again"):
		return "", idp.FieldError("again", "kit.passphrase_differ")
	}
	facts, err := s.personalFacts(ctx)
	if err != nil {
		return "", err
	}
	v, err := rules.Check(plain, false, facts, e.Lists)
	if err != nil {
		return "", err
	}
	if v.Err() != nil {
		return "", idp.FieldError("passphrase", "kit.passphrase_weak")
	}
	if err := e.mayHash(ctx, s); err != nil {
		return "", err
	}
	used, err := s.usedBefore(ctx, normal.Password(plain))
	if err == nil && used != "" {
		err = idp.FieldError("passphrase", "kit.passphrase_password")
	}
	return plain, err
}

// kitPage asks for a file and its passphrase.
func (e *Engine) kitPage(w http.ResponseWriter, r *http.Request) error {
	return e.Site.Write(w, r, http.StatusOK, templates.KitOpen{Action: "/kit"})
}

// showKit shows what a file holds to whoever can open it. Nothing of it is kept, logged or compared with anything.
func (e *Engine) showKit(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return badForm(err)
	}
	k, err := e.openKit(r.Context(), e.anybody(r), r.PostForm)
	if refusal, ok := errors.AsType[*idp.Error](err); ok && refusal.Kind == idp.Invalid {
		p := templates.KitOpen{Action: "/kit"}
		p.Errors = []templates.FieldError{{Field: refusal.Field, Key: refusal.Msg}}
		return e.Site.Write(w, r, http.StatusUnprocessableEntity, p)
	}
	if err != nil {
		return err
	}
	return e.Site.Write(w, r, http.StatusOK, templates.KitContents{KitPaper: kitPaper(k)})
}

// openKit opens the file that a form brings as "kit" by the "passphrase". That is no guess at an account, for whoever
// has the file can try at home; but it is work, so it is bounded like that of passwords: by slots, and by how often a
// known browser or a network may ask.
func (e *Engine) openKit(ctx context.Context, s *State, form url.Values) (kit.Kit, error) {
	file, passphrase := []byte(form.Get("kit")), form.Get("passphrase")
	switch {
	case len(file) == 0:
		return kit.Kit{}, idp.FieldError("kit", "kit.file_empty")
	case kit.Look(file) != nil:
		return kit.Kit{}, idp.FieldError("kit", "kit.file_wrong")
	case passphrase == "":
		return kit.Kit{}, idp.FieldError("passphrase", "kit.passphrase_empty")
	}
	if err := e.mayOpenKit(ctx, s); err != nil {
		return kit.Kit{}, err
	}
	release, err := e.Hasher.Slot(ctx, s.known() != nil)
	if err != nil {
		return kit.Kit{}, err
	}
	defer release()
	k, err := kit.Open(file, passphrase)
	switch err {
	case kit.ErrPassphrase:
		err = idp.FieldError("passphrase", "kit.passphrase_wrong")
	case kit.ErrFile:
		err = idp.FieldError("kit", "kit.file_wrong")
	}
	return k, err
}

// kitCode is the form of a step that asks for a recovery code, with one out of the kit's file in place of the file: one
// that the person's set has not used. Whether it is right, the step finds out as of any that is typed.
func (e *Engine) kitCode(ctx context.Context, s *State, form url.Values) (url.Values, error) {
	k, err := e.openKit(ctx, s, form)
	if err != nil {
		return nil, err
	}
	var set []byte
	for _, c := range s.of(idp.MethodBackup) {
		set = c.Data
	}
	typed := maps.Clone(form)
	typed.Set("code", backup.Unused(set, k.Codes))
	return typed, nil
}

func (e *Engine) mayOpenKit(ctx context.Context, s *State) (err error) {
	b := e.Policy.Now().Throttle.KitFile
	rows := []row{{kind: "kit", key: s.known(), bucket: b}}
	if s.known() == nil {
		if rows, err = e.networks(ctx, s, "kit", b); err != nil {
			return err
		}
	}
	for _, w := range rows {
		ok, until, err := w.take(ctx, e.Store, time.Now())
		if err != nil {
			return err
		}
		if !ok {
			return tooMany(until)
		}
	}
	return nil
}

// mostForm is the largest body that the configuration can allow.
const mostForm = 16 << 20

// readForm reads a form. A file in it becomes the value of its field: it is no larger than a form may be, and never
// touches the disk.
func readForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	switch err := r.ParseMultipartForm(mostForm); {
	case errors.Is(err, http.ErrNotMultipart):
		return nil // read as any other
	case err != nil:
		return err
	}
	for name, files := range r.MultipartForm.File {
		f, err := files[0].Open()
		if err != nil {
			return err
		}
		content, err := io.ReadAll(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		r.PostForm.Set(name, string(content))
	}
	return nil
}
