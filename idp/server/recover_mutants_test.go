package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A mutant is one guard of recovery taken away. The model must notice (docs/recovery.md).
type mutant struct {
	name, file, guard, without string
}

var mutants = []mutant{
	{"a recovery is completed before it is due", "flows/recover.go", "s.recovery.Flow == s.ID && s.recovery.Due(time.Now())", "s.recovery.Flow == s.ID"},
	{"a running recovery is taken over without what it was begun with", "flows/recover_wait.go", "	case as(r, running):", "	case as(r, r):"},
	{"a wait ends sooner though no more is shown", "flows/recover.go", "	case plan.How != policy.ByPeople && plan.Row != r.Row && more(f.Shown, r.Shown):", "	case plan.How != policy.ByPeople:"},
	{"a password that one group set counts as memory", "flows/recover_end.go", "	if err := e.Store.SetVia(ctx, id, via); err != nil {", "	if err := e.Store.SetVia(ctx, id, via[:0]); err != nil {"},
	{"a stop leaves the recovery waiting", "flows/recover_wait.go", "	ok, err := e.Store.EndRecovery(ctx, r.ID, idp.RecoveryStopped, now)", "	ok, err := true, error(nil)"},
	{"what proves nothing counts", "idp/policy/recovery.go", `return s.Void != "" || !slices.Contains`, "return !slices.Contains"},
	{"a flow is open to every browser", "storage/flow.go", "token_hash = ? AND browser_hash = ? AND expires_at", "token_hash = ? AND (browser_hash = ? OR 1 = 1) AND expires_at"},
	{"sessions and grants outlive a recovery", "flows/recover_end.go", `	if err := e.Store.EndAll(ctx, *s.user, storage.Keep{}, "recovery", by); err != nil {`, `	if err := e.Store.Tx(ctx, func(context.Context) error { by.Flow, _ = "", storage.Keep{}; return nil }); err != nil {`},
	{"people do not decide while the account is frozen", "flows/recover_wait.go", `		return "frozen", nil`, `		return "", nil`},
	{"one group replaces the factor, too", "idp/policy/recovery.go", "later, later, people}, passwordOnly: true, voids: true,", "later, later, people}, voids: true,"},
	{"money moves while a recovery waits", "flows/recover_wait.go", "s.User, plan.Withheld, r.Until", "s.User, idp.WithholdNothing, r.Until"},
	{"tokens move money while a recovery waits", "idp/client.go", "return p.User.Withholds(now).Allows(scopes), \"\"", "return scopes, \"\""},
	{"whoever worked on a case decides it", "idp/manage/case.go", "	if err := or(ofDesk(c), m.isApart(ctx, a, c)); err != nil {", "	if err := ofDesk(c); err != nil {"},
	{"a frozen person lets a terminal in", "flows/device.go", "	case u.Frozen:\n		return &idp.Error{Kind: idp.Forbidden, Msg: \"device.frozen\"", "	case false:\n		return &idp.Error{Kind: idp.Forbidden, Msg: \"device.frozen\""},
	{"a lock leaves the recovery waiting", "idp/manage/manage.go", "	return errors.Join(m.VoidRecovery(ctx, u.ID, cause, m.by(a)), m.Store", "	return errors.Join(m.Store"},
	{"what a stopped recovery kept back stays kept back", "flows/recover_wait.go", "	if err := e.release(ctx, u.ID, now); err != nil { // the freeze", "	if err := error(nil); err != nil { // the freeze"},
}

// root is the folder of the module.
const root = "../.."

// Each guard stands where the mutants take it away. With HUFU_TEST_MUTANTS it writes, for
// each, a folder there with an overlay for go build, which .dev/model.sh has the model
// test walk in.
func TestRecoveryMutants(t *testing.T) {
	dir := os.Getenv("HUFU_TEST_MUTANTS")
	for i, m := range mutants {
		path := must2(filepath.Abs(filepath.Join(root, m.file)))(t)
		text := string(must2(os.ReadFile(path))(t))
		if n := strings.Count(text, m.guard); n != 1 {
			t.Errorf("%s: %d times in %s, want once: %s", m.name, n, m.file, m.guard)
			continue
		}
		if dir == "" {
			continue
		}
		at := filepath.Join(dir, fmt.Sprintf("%02d", i))
		must(t, os.MkdirAll(at, 0o755))
		mutated := filepath.Join(at, filepath.Base(m.file))
		must(t, os.WriteFile(mutated, []byte(strings.Replace(text, m.guard, m.without, 1)), 0o600))
		must(t, os.WriteFile(filepath.Join(at, "overlay.json"), []byte(asText(map[string]any{"Replace": map[string]string{path: mutated}})), 0o600))
		must(t, os.WriteFile(filepath.Join(at, "name"), []byte(m.name+"\n"), 0o600))
	}
}
