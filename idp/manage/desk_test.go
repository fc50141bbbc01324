package manage

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/idp"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// What callers say in their own way is right, and nothing else is.
func TestComparing(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d, ctx := newDesk(t, s), t.Context()
		other, _, device, _ := d.other()
		agent := d.agent
		for i, try := range []struct {
			field idp.EvidenceField
			said  string
			want  bool
		}{
			{idp.FieldDocument, ownTail, true}, {idp.FieldDocument, "３１ ２０-１x", true}, {idp.FieldDocument, "201X", true}, {idp.FieldDocument, "312010", false}, {idp.FieldDocument, "2010", false},
			{idp.FieldBirthday, "19851224", true}, {idp.FieldBirthday, "24.12.1985", true}, {idp.FieldBirthday, "12/24/1985", true}, {idp.FieldBirthday, "1985年12月24日", true}, {idp.FieldBirthday, "1985-12-25", false},
			{idp.FieldLegalName, d.merchant.LegalName, true}, {idp.FieldLegalName, "（林记）小 馆", true}, {idp.FieldLegalName, other.LegalName, false}, {idp.FieldLegalName, "林记", false},
			{idp.FieldMerchantNo, "8222 9005 9430 001", true}, {idp.FieldMerchantNo, other.No, false},
			{idp.FieldSerial, "hf20260001", true}, {idp.FieldSerial, device.Serial, false}, {idp.FieldSerial, "HF00000000", false},
		} {
			if i%10 == 0 { // each compares so much only
				agent.User = d.user(idp.RoleSupportAgent, "", fmt.Sprint("agent.", i))
			}
			c, err := d.OpenCase(ctx, agent, NewCase{User: d.owner.ID, Lost: "both", To: "13900000009"})
			d.must(err)
			if got, err := d.CompareEvidence(ctx, agent, c.ID, try.field, try.said); err != nil || got != try.want {
				t.Errorf("%s %q: %t, %v", try.field, try.said, got, err)
			}
			e := d.events(storage.EventFilter{Subject: d.owner.ID, Name: "case.evidence"})[0]
			if e.Data["match"] != try.want || e.Data["field"] != string(try.field) || e.Actor != agent.User.ID {
				t.Errorf("event %+v", e)
			}
			d.must(d.RefuseCase(ctx, agent, c.ID))
		}
	})
}

// So many tries of a field there are in all, whoever compares and however many at once; what
// could be no such value is none; what matched is not asked again.
func TestTriesOfEvidence(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d, ctx := newDesk(t, s), t.Context()
		c := d.opened()
		for field, said := range map[idp.EvidenceField]string{idp.FieldDocument: "12345", idp.FieldBirthday: "0524", idp.FieldMerchantNo: "12", idp.FieldSerial: "?", idp.FieldLegalName: " ", "password": "x"} {
			if ok, err := d.CompareEvidence(ctx, d.agent, c.ID, field, said); err == nil || ok || idp.KindOf(err) != idp.Invalid {
				t.Errorf("%s %q: %t, %v", field, said, ok, err)
			}
		}
		if n := len(d.events(storage.EventFilter{Name: "case.evidence"})); n != 0 {
			t.Errorf("%d counted", n)
		}
		var wg sync.WaitGroup
		var counted, closed int
		var mu sync.Mutex
		for i := range 12 {
			wg.Go(func() {
				_, err := d.CompareEvidence(ctx, []Actor{d.agent, d.super}[i%2], c.ID, idp.FieldDocument, fmt.Sprintf("%06d", i))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					counted++
				case strings.Contains(err.Error(), "error.evidence_closed"):
					closed++
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if counted != 3 || closed != 9 {
			t.Errorf("%d counted, %d refused", counted, closed)
		}
		// The right value comes too late: its answer is not given.
		ok, err := d.CompareEvidence(ctx, d.agent, c.ID, idp.FieldDocument, ownTail)
		if wants(t, err, idp.Conflict, "error.evidence_closed"); ok {
			t.Error("answered after the last try")
		}
		d.must(second(d.CompareEvidence(ctx, d.agent, c.ID, idp.FieldBirthday, ownDay)))
		_, err = d.CompareEvidence(ctx, d.agent, c.ID, idp.FieldBirthday, ownDay)
		wants(t, err, idp.Conflict, "error.evidence_closed")
		states, err := d.Evidence(ctx, c, d.owner)
		d.must(err)
		for _, f := range states {
			want := map[idp.EvidenceField]FieldState{idp.FieldDocument: {Tries: 3}, idp.FieldBirthday: {Tries: 1, Matched: true}}[f.Field]
			if f.Tries != want.Tries || f.Matched != want.Matched || !f.Kept || f.Left != map[bool]int{true: 0, false: 3}[want.Tries > 0] {
				t.Errorf("%+v", f)
			}
		}
	})
}

// An agent compares thirty times at once and then once in two minutes, over all cases.
func TestAgentsBucket(t *testing.T) {
	d := newDesk(t, storagetest.New(t, storage.SQLite))
	ctx, c := t.Context(), d.opened()
	bucket := d.Policy.Now().Desk.EvidenceAgent
	for range bucket.Burst {
		ok, _, err := d.Store.TakeBucket(ctx, "evidence.agent", []byte(d.agent.User.ID), bucket.Burst, bucket.Refill, time.Now())
		if d.must(err); !ok {
			t.Fatal("empty too early")
		}
	}
	ok, err := d.CompareEvidence(ctx, d.agent, c.ID, idp.FieldBirthday, ownDay)
	if wants(t, err, idp.Conflict, "error.evidence_wait"); ok {
		t.Error("answered")
	}
	if all, _ := d.Store.CaseEvidence(ctx, c.ID); len(all) != 0 {
		t.Errorf("charged to the case: %v", all)
	}
	d.must(second(d.CompareEvidence(ctx, d.super, c.ID, idp.FieldBirthday, ownDay)))
}

// Whoever puts documents there proves nothing with them for three days.
func TestYoungDocuments(t *testing.T) {
	d := newDesk(t, storagetest.New(t, storage.SQLite))
	ctx, c := t.Context(), d.opened()
	d.must(d.SetDocuments(ctx, d.super, d.owner.ID, Documents{Tail: "998877", Birthday: "19700101"}))
	for field, said := range map[idp.EvidenceField]string{idp.FieldDocument: "998877", idp.FieldBirthday: "19700101"} {
		_, err := d.CompareEvidence(ctx, d.agent, c.ID, field, said)
		wants(t, err, idp.Conflict, "error.evidence_none")
	}
	d.must(d.Store.SetEvidence(ctx, d.owner.ID, "birthday", "19700101", time.Now().Add(-73*time.Hour)))
	if ok, err := d.CompareEvidence(ctx, d.agent, c.ID, idp.FieldBirthday, "1970/1/1"); err != nil || !ok {
		t.Errorf("after three days: %t, %v", ok, err)
	}
}

// The row of documents: who may enter them, and in what form.
func TestDocuments(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d, ctx := newDesk(t, s), t.Context()
		wants(t, d.SetDocuments(ctx, d.agent, d.owner.ID, Documents{Tail: ownTail}), idp.Forbidden, "error.forbidden")
		wants(t, d.SetDocuments(ctx, d.super, d.super.User.ID, Documents{Tail: ownTail}), idp.Forbidden, "error.self")
		for what, in := range map[string]Documents{"error.empty": {}, "evidence.document": {Tail: "1234"}, "evidence.birthday": {Birthday: "01021990"}} {
			wants(t, d.SetDocuments(ctx, d.super, d.owner.ID, in), idp.Invalid, what)
		}
		d.must(d.SetDocuments(ctx, d.super, d.owner.ID, Documents{Birthday: "1990-05-12"}))
		hashes, err := s.Evidence(ctx, d.owner.ID)
		if d.must(err); !reflect.DeepEqual(hashes["birthday"], s.EvidenceHash(d.owner.ID, "birthday", "19900512")) || !reflect.DeepEqual(hashes["document.6"], s.EvidenceHash(d.owner.ID, "document.6", ownTail)) {
			t.Error("not what was entered, or more")
		}
		if got := d.templates(d.owner); !slices.Equal(got, []string{"documents"}) {
			t.Errorf("told %v", got)
		}
	})
}

func TestImportDocuments(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d, ctx := newDesk(t, s), t.Context()
		for file, want := range map[string]string{
			"lin.wei,31201X\n": "error.import_line",
			"lin.wei,31201X,19851224\nnobody.here,123456,1990-1-1\n": "error.import_nobody",
			"lin.wei,31201X,19851224\nmanager.001,12,1990-1-1\n":     "error.import_line",
			"lin.wei,\"31201X,19851224\n":                            "error.import_line",
		} {
			n, err := d.ImportDocuments(ctx, strings.NewReader(file))
			if err == nil || n != 0 || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "31201") {
				t.Errorf("%q: %d, %v", file, n, err)
			}
		}
		if n := len(d.events(storage.EventFilter{Name: "account.documents"})); n != 0 {
			t.Errorf("%d people of a file that was refused", n)
		}
		n, err := d.ImportDocuments(ctx, strings.NewReader("\ufeff用户名,证件后六位,出生日期\nLIN.WEI, 11223x ,1985-12-24\nmanager.001,123456,\n"))
		if err != nil || n != 2 {
			t.Errorf("%d, %v", n, err)
		}
		hashes, err := s.Evidence(ctx, d.owner.ID)
		if d.must(err); !reflect.DeepEqual(hashes["document.6"], s.EvidenceHash(d.owner.ID, "document.6", "11223X")) {
			t.Error("not what stood in the file")
		}
		if list := d.events(storage.EventFilter{Name: "account.documents"}); len(list) != 2 || list[0].Actor != "system" {
			t.Errorf("events %v", list)
		}
	})
}

// Two halves: the agent's appears once the caller's was heard, to both; wrong three times it
// is over, and a call is one agent's.
func TestCallerCode(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		d, ctx := newDesk(t, s), t.Context()
		c := d.opened()
		caller := func() idp.Call {
			t.Helper()
			call, err := s.CallerDigits(ctx, d.owner.ID, time.Now())
			d.must(err)
			if call == nil || len(call.Caller) != 4 {
				t.Fatalf("call %+v", call)
			}
			return *call
		}
		wrongOf := func(right string) string { return fmt.Sprintf("%04d", (atoi(right)+1)%10000) }
		d.must(d.StartCall(ctx, d.agent, c.ID))
		call := caller()
		if call.Half != "" || !call.Until.Equal(call.StartedAt.Add(10*time.Minute)) {
			t.Errorf("call %+v", call)
		}
		wants(t, d.HearCall(ctx, d.agent, c.ID, call.ID, "12"), idp.Invalid, "error.call_digits")
		wants(t, d.HearCall(ctx, d.super, c.ID, call.ID, call.Caller), idp.Forbidden, "error.call_other")
		wants(t, d.HearCall(ctx, d.agent, c.ID, "another", call.Caller), idp.Conflict, "error.call_over")
		wants(t, d.HearCall(ctx, d.agent, c.ID, call.ID, wrongOf(call.Caller)), idp.Invalid, "error.call_wrong")
		d.must(d.HearCall(ctx, d.agent, c.ID, call.ID, call.Caller[:2]+" "+call.Caller[2:]))
		wants(t, d.HearCall(ctx, d.agent, c.ID, call.ID, call.Caller), idp.Conflict, "error.call_over")
		agents, err := s.CaseCall(ctx, c.ID)
		if d.must(err); len(agents.Half) != 4 || agents.Half != caller().Half || agents.Caller != "" {
			t.Errorf("the agent sees %+v, the caller %+v", agents, caller())
		}

		d.must(d.StartCall(ctx, d.super, c.ID))
		call = caller()
		for range 3 {
			wants(t, d.HearCall(ctx, d.super, c.ID, call.ID, wrongOf(call.Caller)), idp.Invalid, "error.call_wrong")
		}
		wants(t, d.HearCall(ctx, d.super, c.ID, call.ID, call.Caller), idp.Conflict, "error.call_over")
		if live, err := s.CallerDigits(ctx, d.owner.ID, time.Now()); err != nil || live != nil {
			t.Errorf("%+v goes on, %v", live, err)
		}
		states := map[any]int{}
		for _, e := range d.events(storage.EventFilter{Subject: d.owner.ID, Name: "case.callercode"}) {
			states[e.Data["state"]]++
		}
		if !reflect.DeepEqual(states, map[any]int{"started": 2, "heard": 1, "wrong": 4}) {
			t.Errorf("events %v", states)
		}
	})
}

func atoi(s string) (n int) {
	_, _ = fmt.Sscanf(s, "%d", &n)
	return n
}

// A number is shown whole to who works on the person, with an event that says which.
func TestReveal(t *testing.T) {
	d := newDesk(t, storagetest.New(t, storage.SQLite))
	ctx := t.Context()
	_, err := d.Reveal(ctx, d.agent, d.owner.ID, idp.IdentifierPhone)
	wants(t, err, idp.Forbidden, "error.needs_case")
	d.opened()
	values, err := d.Reveal(ctx, d.agent, d.owner.ID, idp.IdentifierPhone)
	if err != nil || !slices.Equal(values, []string{"+8613800000001"}) {
		t.Errorf("%v, %v", values, err)
	}
	_, err = d.Reveal(ctx, d.agent, d.owner.ID, idp.IdentifierUsername)
	wants(t, err, idp.Invalid, "error.choose")
	_, err = d.Reveal(ctx, d.agent, d.staff[idp.RoleAuditor].ID, idp.IdentifierPhone)
	wants(t, err, idp.Forbidden, "error.staff")
	_, err = d.Reveal(ctx, d.admin, d.owner.ID, idp.IdentifierPhone)
	wants(t, err, idp.Forbidden, "error.forbidden")
	if list := d.events(storage.EventFilter{Subject: d.owner.ID, Name: "account.revealed"}); len(list) != 1 || list[0].Data["field"] != "phone" || strings.Contains(fmt.Sprint(list[0]), "13800000001") {
		t.Errorf("events %v", list)
	}
}

func TestTeams(t *testing.T) {
	d := newDesk(t, storagetest.New(t, storage.SQLite))
	ctx := t.Context()
	wants(t, d.SetTeam(ctx, d.super, d.agent.User.ID, "early"), idp.Forbidden, "error.forbidden")
	wants(t, d.SetTeam(ctx, d.admin, d.admin.User.ID, "early"), idp.Forbidden, "error.self")
	wants(t, d.SetTeam(ctx, d.admin, d.owner.ID, "early"), idp.Forbidden, "error.team_staff")
	wants(t, d.SetTeam(ctx, d.admin, d.agent.User.ID, strings.Repeat("x", 41)), idp.Invalid, "error.too_long")
	d.must(d.SetTeam(ctx, d.admin, d.agent.User.ID, " early  shift "))
	wants(t, d.SetTeam(ctx, d.admin, d.agent.User.ID, "early shift"), idp.Invalid, "error.same")
	d.must(d.SetTeam(ctx, d.admin, d.agent.User.ID, ""))
	if u := must(d.Store.User(ctx, d.agent.User.ID)); u.Team != "" {
		t.Errorf("team %q", u.Team)
	}
}

// What a caller said, and what it is compared with, is nowhere in the database; nor are the
// digits of a call, nor in clear where a link goes.
func TestNoValueIsKept(t *testing.T) {
	for _, dialect := range []storage.Dialect{storage.SQLite, storage.Postgres} {
		dsn := storagetest.DSN(t, dialect)
		s := storagetest.Open(t, dsn, storagetest.Ring())
		d, ctx := newDesk(t, s), t.Context()
		d.must(d.SetDocuments(ctx, d.super, d.owner.ID, Documents{Tail: "77341X", Birthday: "19620317"}))
		d.must(second(d.ImportDocuments(ctx, strings.NewReader("manager.001,90817X,19710809\n"))))
		d.keep(d.owner, time.Now().AddDate(0, 0, -30))
		c := d.opened()
		said := []string{"77341X", "7341X", "19620317", "0317-62", "90817X", "19710809", "55110X", "19440506", ownTail, ownDay}
		for field, typed := range map[idp.EvidenceField]string{idp.FieldDocument: "55110X", idp.FieldBirthday: "1944-05-06"} {
			d.must(second(d.CompareEvidence(ctx, d.agent, c.ID, field, typed)))
		}
		d.compared(d.agent, c)
		d.must(d.StartCall(ctx, d.agent, c.ID))
		call, err := s.CallerDigits(ctx, d.owner.ID, time.Now())
		d.must(err)
		d.must(d.HearCall(ctx, d.agent, c.ID, call.ID, call.Caller))
		tables := storagetest.Dump(t, dsn)
		for table, rows := range tables {
			for _, row := range rows {
				for _, value := range append(said, "13900000009", "1944-05-06") {
					if strings.Contains(row, value) {
						t.Errorf("%q stands in %s: %q", value, table, row)
					}
				}
			}
		}
		if len(tables) < 20 || len(tables["case_evidence"]) != 4 || len(tables["evidence"]) == 0 || len(tables["calls"]) != 1 {
			t.Errorf("not all was read: %d tables", len(tables))
		}
		for _, digits := range []string{call.Caller, must(s.CaseCall(ctx, c.ID)).Half} {
			if row := tables["calls"][0]; len(digits) != 4 || strings.Contains(row, " "+digits+" ") {
				t.Errorf("%q stands in %q", digits, row)
			}
		}
	}
}
