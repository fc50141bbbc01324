package server_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
)

// A link of a message is built from the configured issuer. Others built it from the request
// three times, each time in a path of its own: so everything that writes to somebody is done
// here by browsers whose every request names another host.

const evil = "evil.example"

// mailed is what each route that writes to somebody sends: its message, and the page that a
// link of it leads to.
var mailed = []struct{ template, page string }{
	{"recovery.started", "/stop"}, {"recovery.other", "/stop"}, {"recovery.other_due", "/stop"}, {"recovery.other_case", "/stop"}, {"recovery.reminded", "/stop"}, {"recovery.soon", "/stop"}, {"recovery.due", "/stop"},
	{"recovery.completed", "/stop"}, {"recovery.other_done", "/stop"}, {"recovery.case", "/stop"}, {"username.told", "/stop"},
	{"case.recovery", "/stop"}, {"case.approved", "/stop"}, {"case.link", "/recover/case"}, {"case.answer", "/stop"},
	{"owner.proposed", "/stop"}, {"owner.accepted", "/stop"}, {"owner.soon", "/stop"}, {"owner.stopped", "/stop"}, {"owner.done", "/stop"},
	{"invite", "/join"}, {"staff.helped", "/stop"}, {"staff.leaving", "/stop"}, {"newbrowser", "/stop"}, {"channel.removed", "/undo"}, {"channel.undone", "/stop"}, {"channel.added", "/stop"},
	{"factor.enrolled", "/stop"}, {"unfrozen", "/stop"},
}

var anyLink = regexp.MustCompile(`https?://[^\s"<>]+`)

func TestLessonHostileHost(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.host = evil
		for _, walk := range []func(t *testing.T, w *demoWorld){hostileRecovery, hostileNames, hostileDesk, hostileShop} {
			walk(t, w)
		}
		box, err := w.Service.Store.Messages(t.Context(), 500)
		must(t, err)
		found := map[string]map[idp.ChannelKind]int{}
		for _, m := range box {
			if strings.Contains(m.Subject+m.Body+m.HTML, evil) {
				t.Errorf("%s: %s", m.Template, m.Body)
			}
			for _, text := range []string{m.Body, m.HTML} {
				for _, link := range anyLink.FindAllString(text, -1) {
					at, ours := strings.CutPrefix(link, w.Issuer)
					if !ours || !strings.HasPrefix(at, "/") {
						t.Errorf("%s: a link to %s", m.Template, link)
						continue
					}
					page, _, _ := strings.Cut(at, "?")
					if found[m.Template+" "+page] == nil {
						found[m.Template+" "+page] = map[idp.ChannelKind]int{}
					}
					found[m.Template+" "+page][m.Channel]++
				}
			}
			if m.Template == "code" && m.Channel == idp.ChannelSMS && !strings.Contains(m.Body, "@localhost #") {
				t.Errorf("a code is bound to another host: %s", m.Body)
			}
		}
		for _, row := range mailed {
			links := found[row.template+" "+row.page]
			if links[idp.ChannelMail]+links[idp.ChannelSMS] == 0 {
				t.Errorf("no link to %s in a message %s was looked at", row.page, row.template)
			}
			delete(found, row.template+" "+row.page)
		}
		for link := range found {
			if name, page, _ := strings.Cut(link, " "); page != "/stop" { // every notice has one
				t.Errorf("%s leads to %s: put it into the table", name, page)
			}
		}
	})
}

// hostileRecovery waits to the end, is asked of people, and is stopped.
func hostileRecovery(t *testing.T, w *demoWorld) {
	b, _ := w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "host.one", TOTP: true, Phone: "+8613910000051", Mail: "host.one@example.com"}, "203.0.113.64")
	b.open("/sign-in").signIn("host.one").post("/account/contact/remove", url.Values{"id": {w.contact(t, "host.one", idp.IdentifierEmail).ID}}).see(200, "已经删除")
	_, token := w.linkOf(t, "host.one", "channel.removed", undoLink)
	b.post("/undo", url.Values{"token": {token}}).see(200, "")
	b.open("/account/contact/new?kind=email").at("contact").submit("contact", "host.too@example.com").at("contact-code").submit("code", w.sent(t, "host.too@example.com"))
	b.withKey()
	time.Sleep(8 * 24 * time.Hour)
	b = w.from(t, "203.0.113.64")
	b.lost("both", "host.one").shows("introduce:phone", "+8613910000051").submit("do", "go").see(200, "还要等")
	r := w.recoveries(t, "host.one")[0]
	for _, at := range []time.Time{r.StartedAt.Add(r.DueAt.Sub(r.StartedAt)/2 + time.Minute), r.DueAt.Add(-5 * time.Minute), r.DueAt.Add(5 * time.Minute)} {
		time.Sleep(time.Until(at))
		must2(w.Service.TellRecoveries(t.Context()))(t)
	}
	b.open(b.URL.String()).see(200, "密码").chooses().see(200, "找回来了")

	w.person(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "host.young", TOTP: true, Phone: "+8613910000052"})
	time.Sleep(4 * 24 * time.Hour)
	b = w.from(t, "192.0.2.50")
	b.lost("password", "host.young").shows("introduce:phone", "+8613910000052").submit("do", "go").see(200, "交给客服了")
}

// hostileNames has a user name told, on its own channel and on the owner's.
func hostileNames(t *testing.T, w *demoWorld) {
	b := w.from(t, "203.0.113.28")
	b.open("/recover").submit("lost", "username").submit("merchant_no", w.Merchant.No, "serial", w.Terminals["esign"].Serial).see(200, "已经发出")
	owner := w.from(t, "203.0.113.1")
	owner.open("/sign-in").signIn("owner").post("/account/freeze", nil).see(200, "冻结了")
	time.Sleep(time.Minute)
	owner.post("/account/unfreeze", nil).prove("owner").see(200, "")
}

// hostileDesk is a case that is approved, with its link, and one that is answered.
func hostileDesk(t *testing.T, w *demoWorld) {
	agent, u, why := w.from(t, "203.0.113.2"), w.Users["owner"], "来电 0310-017，店主本人"
	agent.open("/sign-in").signIn("support_agent")
	agent.open("/console/cases/new").submit("login", "lin.wei", "lost", "both", "send_to", "13900010009", "says", "林薇", "reason", why).see(200, "工单已经开好")
	page := agent.URL.Path
	for field, value := range map[string]string{"birthday": u.Birthday, "document_tail": u.DocumentTail} {
		agent.post(page+"/evidence", url.Values{"field": {field}, "value": {value}, "reason": {why}}).see(200, "对上了")
	}
	agent.post(page+"/answer", url.Values{"answer": {idp.CaseAnswers[0]}, "reason": {why}}).see(200, "")
	agent.post(page+"/submit", url.Values{"reason": {why}}).see(200, "等批准")
	super := w.from(t, "203.0.113.3")
	super.open("/sign-in").signIn("support_supervisor").withKey()
	super.open(page).submit("typed", "", "reason", why).open(page+"/approve").post(page+"/approve", url.Values{"reason": {why}}).see(200, "已经批准")
}

// hostileShop hands a shop over, once in vain, and takes people in and out.
func hostileShop(t *testing.T, w *demoWorld) {
	s := w.handedShop(t)
	s.owner.open("/console/staff/new").submit("username", "host.new", "name", "新人", "role", "cashier", "phone", "13910000053").see(200, "")
	cashier := w.person(t, somebody{User: idp.User{Role: idp.RoleCashier, MerchantID: w.user(t, "old.owner").MerchantID}, Login: "host.cashier", Mail: "host.cashier@example.com"})
	s.owner.post("/console/users/"+cashier.ID+"/help", url.Values{"reason": {"stands before me"}}).see(200, "登录码")
	s.owner.post("/console/users/"+cashier.ID+"/leaving", url.Values{"day": {time.Now().AddDate(0, 0, 9).Format(time.DateOnly)}, "reason": {"moves to another town"}}).see(200, "最后一天")
	page := s.propose(t)
	s.heir.post(page+"/stop", nil).see(200, "停止了")
	page = s.propose(t)
	s.heir.post(page+"/accept", nil).see(200, "自动完成")
	due := s.running(t).DueAt
	for s.running(t) != nil && time.Now().Before(due.Add(time.Hour)) {
		time.Sleep(time.Hour)
		w.from(t, "192.0.2.9").open("/healthz")
	}
}

// Nobody reads for which host a request says it is, and links are made in two places, from
// the issuer. Another one is a fourth time.
func TestNobodyReadsTheHost(t *testing.T) {
	fields := map[string]bool{} // of structs, that hold a request
	files := map[string]*ast.File{}
	set := token.NewFileSet()
	must(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return cmp.Or(err, error(filepath.SkipDir))
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "test/") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
		files[strings.TrimPrefix(filepath.ToSlash(path), "../../")] = file
		return err
	}))
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.StructType); ok {
				requests(s, fields)
			}
			return true
		})
	}
	if !fields["request"] || len(files) < 150 {
		t.Fatalf("%d files, requests are called %v", len(files), fields)
	}
	links, looked := []string{}, 0
	for name, file := range files {
		if strings.HasPrefix(name, "cmd/merchant-app/") || strings.HasPrefix(name, "cmd/terminal/") || strings.HasPrefix(name, "cmd/hufu-bench/") || strings.HasPrefix(name, "cmd/hufu/drill") || name == "idp/notify/alibaba.go" {
			continue // they ask others: their requests are their own
		}
		for _, decl := range file.Decls {
			local := map[string]bool{}
			requests(decl, local)
			looked += len(local)
			ast.Inspect(decl, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					if n.Sel.Name == "Host" && ofRequest(n.X, local, fields) {
						t.Errorf("%s: the host of a request", set.Position(n.Pos()))
					}
				case *ast.BasicLit:
					if n.Kind == token.STRING && strings.Contains(n.Value, `?t=`) {
						links = append(links, name)
					}
					if n.Kind == token.STRING && hostHeader.MatchString(n.Value) {
						t.Errorf("%s: a header that names a host", set.Position(n.Pos()))
					}
				}
				return true
			})
		}
	}
	slices.Sort(links)
	if want := []string{"flows/link.go", "flows/notice.go", "idp/manage/user.go"}; !slices.Equal(links, want) || looked < 150 { // the first is a path to come back to
		t.Errorf("links are made in %v, want %v alone; %d requests", links, want, looked)
	}
}

var hostHeader = regexp.MustCompile("(?i)^[\"`](host|forwarded|x-(forwarded|original)-(host|server|url)|x-host|:authority)[\"`]$")

func aRequest(e ast.Expr) bool {
	star, ok := e.(*ast.StarExpr)
	if !ok {
		return false
	}
	s, ok := star.X.(*ast.SelectorExpr)
	return ok && s.Sel.Name == "Request" && is(s.X, "http")
}

func is(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// requests notes what is called a request in a part of the code: parameters, results, fields.
func requests(in ast.Node, names map[string]bool) {
	ast.Inspect(in, func(n ast.Node) bool {
		if f, ok := n.(*ast.Field); ok && aRequest(f.Type) {
			for _, name := range f.Names {
				names[name.Name] = true
			}
		}
		return true
	})
}

// ofRequest says whether an expression is a request, or its address.
func ofRequest(e ast.Expr, local, fields map[string]bool) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return local[e.Name]
	case *ast.SelectorExpr:
		return fields[e.Sel.Name] || e.Sel.Name == "URL" && ofRequest(e.X, local, fields)
	}
	return false
}
