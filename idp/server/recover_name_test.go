package server_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
)

// sold is somebody on whose phone no code has come back for so many days.
func (w *demoWorld) sold(t *testing.T, login, phone string, days int) (kit []string) {
	t.Helper()
	_, kit = w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: login, TOTP: true, Phone: phone, Mail: login + "@example.com"}, "203.0.113.60")
	w.ago(t, login, idp.IdentifierPhone, days)
	return kit
}

// asksName walks the look-up of a user name by a phone or address to the answer.
func (b *browser) asksName(contact, to string) *browser {
	b.t.Helper()
	b.open("/recover").submit("lost", "username").submit("contact", contact)
	if b.has("resend") && !b.has("code") {
		b.submit("resend")
	}
	return b.submit("code", b.world.recoveryCode(b.t, to))
}

// Whoever has bought a number that was given up gets its codes. It is no sole proof, and
// neither a sign-in that introduces him by it nor a recovery makes it one, however often.
func TestRecoveryOfSoldNumber(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		kit := w.sold(t, "sold.one", "+8613900010060", 91)
		last := w.contact(t, "sold.one", idp.IdentifierPhone).LastProvenAt
		buyer := w.from(t, "198.51.100.60")
		buyer.try("sold.one", "nonsense nonsense").submit("way", "introduce:phone").at("introduce").submit("resend", "1").submit("code", w.sent(t, "+8613900010060")).at("password")
		for range 2 {
			time.Sleep(3 * time.Hour)
			buyer.lost("password", "sold.one").shows("introduce:phone", "+8613900010060").see(200, "还差一样").see(200, "很久没验证过")
			if buyer.has("do") {
				t.Error("it can be begun")
			}
			buyer.post(buyer.URL.Path, map[string][]string{"do": {"go"}}).see(422, "再证明一样")
		}
		if n := w.contact(t, "sold.one", idp.IdentifierPhone); !n.LastProvenAt.Equal(last) || len(w.recoveries(t, "sold.one")) != 0 {
			t.Fatalf("proven at %v, was %v; %d recoveries", n.LastProvenAt, last, len(w.recoveries(t, "sold.one")))
		}
		// Beside the kit it counts.
		time.Sleep(3 * time.Hour)
		b := w.from(t, "203.0.113.60")
		b.lost("password", "sold.one").shows("introduce:phone", "+8613900010060").by("kit").submit("code", kit[0]).see(200, "可以继续了").submit("do", "go").chooses().see(200, "找回来了")
		if r := w.recoveries(t, "sold.one"); len(r) != 1 || r[0].Row != 10 || r[0].State != idp.RecoveryDone {
			t.Errorf("%+v", r)
		}
	})
}

// A day short of it the number is proof enough to wait with.
func TestRecoveryOfKeptNumber(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.sold(t, "kept.two", "+8613900010061", 89)
		w.from(t, "203.0.113.60").lost("password", "kept.two").shows("introduce:phone", "+8613900010061").see(200, "要等一段时间").submit("do", "go").see(200, "还要等")
	})
}

// A phone or address that is no sole proof of its person shows no name: it goes to his other
// ones.
func TestNameOfWeakChannel(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		u := somebody{User: idp.User{Role: idp.RoleOwner, Name: "沈某"}, TOTP: true}
		for i, weak := range []func(n idp.Identifier){
			func(n idp.Identifier) { w.ago(t, u.Login, idp.IdentifierPhone, 91) },
			func(n idp.Identifier) {
				must(t, w.Service.Store.Dispute(t.Context(), n.ID, time.Now().Add(24*time.Hour)))
			},
			nil, // bound lately
		} {
			digit := string(rune('0' + i))
			u.Login, u.Phone, u.Mail = "weak."+digit, "+861390001007"+digit, "weak."+digit+"@example.com"
			w.person(t, u)
			if weak != nil {
				time.Sleep(8 * 24 * time.Hour)
				weak(w.contact(t, u.Login, idp.IdentifierPhone))
			}
			b := w.from(t, "198.51.100.7"+digit)
			b.asksName(u.Phone, u.Phone).see(200, "已经发到那里")
			for _, secret := range []string{u.Login, "沈某", "合味"} {
				if strings.Contains(b.text(), secret) {
					t.Errorf("%s: the page tells %q", u.Login, secret)
				}
			}
			told := w.notices(t, u.Login, "username.told")
			if len(told) != 1 || told[0].To != u.Mail || !strings.Contains(told[0].Body, u.Login) {
				t.Errorf("%s: %+v", u.Login, told)
			}
			for _, m := range w.notices(t, u.Login, "username.asked") {
				if strings.Contains(m.Body, u.Login) && m.To == u.Phone {
					t.Errorf("the notice tells the name: %s", m.Body)
				}
			}
			if ev := w.events(t, u.Login, "username.told"); len(ev) != 1 || ev[0].Data["here"] != false {
				t.Errorf("%+v", ev)
			}
		}
	})
}

// All of a person's phones and addresses hear that his name was looked up; those that he has
// removed lately, which may be somebody else's, never hear the name.
func TestNameIsNotToldToOldNumbers(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		w.ripe(t, somebody{User: idp.User{Role: idp.RoleOwner}, Login: "moved.one", TOTP: true, Phone: "+8613900010080", Mail: "moved.one@example.com"}, "203.0.113.61")
		owner := w.Users["owner"].Username
		old := func(login, to string) {
			n := idp.Identifier{UserID: w.user(t, login).ID, Kind: idp.IdentifierPhone, Value: to, VerifiedAt: time.Now()}
			must(t, w.Service.Store.AddIdentifier(t.Context(), &n))
			if ok := must2(w.Service.Store.RemoveIdentifier(t.Context(), n.UserID, n.ID, time.Now()))(t); !ok {
				t.Fatal("not removed")
			}
		}
		old("moved.one", "+8613900010081")
		old(owner, "+8613900010082")
		reached := func(login, template string) (to []string) {
			for _, m := range w.notices(t, login, template) {
				to = append(to, m.To)
				if template == "username.asked" && strings.Contains(m.Body+m.HTML, login) {
					t.Errorf("%s reads the name: %s", m.To, m.Body)
				}
			}
			slices.Sort(to)
			return to
		}
		w.from(t, "203.0.113.61").asksName("13900010080", "+8613900010080").see(200, "moved.one")
		if got := reached("moved.one", "username.asked"); !slices.Equal(got, []string{"+8613900010080", "+8613900010081", "moved.one@example.com"}) {
			t.Errorf("told of it: %v", got)
		}
		if got := reached("moved.one", "username.told"); len(got) != 0 {
			t.Errorf("the name went to %v", got)
		}
		w.from(t, "203.0.113.62").open("/recover").submit("lost", "username").submit("merchant_no", w.Merchant.No, "serial", w.Terminals["esign"].Serial).see(200, "已经发出")
		if got := reached(owner, "username.told"); len(got) != 2 || slices.Contains(got, "+8613900010082") {
			t.Errorf("the name went to %v", got)
		}
	})
}

// Whoever may set a new password reads the user name on that page, and nobody before: who typed his
// phone at the door, and who came by the link of a case, also of one that was opened for the name.
func TestRecoveryShowsTheName(t *testing.T) {
	eachHour(t, func(t *testing.T, w *demoWorld) {
		for i, begin := range map[string]func(b *browser, login, phone string){
			"1": func(b *browser, _, phone string) {
				b.lost("password", phone).shows("introduce:phone", phone)
			},
			"2": func(b *browser, login, _ string) {
				u := w.user(t, login)
				c := w.approved(t, u, idp.LostUsername)
				b.open("/recover/case?t="+w.linkTo(t, u, idp.LinkCase, c.ID)).submit("token")
			},
		} {
			login, phone := "shown.name."+i, "+861390002007"+i
			w.ripe(t, somebody{Login: login, Phone: phone, Mail: login + "@example.com"}, "203.0.113.64")
			b := w.from(t, "198.51.100.64")
			begin(b, login, phone)
			if b.see(200, "要等一段时间"); strings.Contains(b.text(), login) {
				t.Errorf("%s: told too early: %s", login, b.text())
			}
			b.submit("do", "go").see(200, "还要等")
			if strings.Contains(b.text(), login) {
				t.Errorf("%s: told while it waits: %s", login, b.text())
			}
			time.Sleep(time.Until(w.recoveries(t, login)[0].DueAt) + time.Minute)
			b.open(b.URL.String()).see(200, "设一个新密码")
			if !strings.Contains(b.text(), "用户名 "+login) {
				t.Errorf("%s: %s", login, b.text())
			}
			b.chooses()
		}
	})
}
