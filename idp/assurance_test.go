package idp_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/idp"
)

var t0 = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func proof(m idp.Method, channel string) idp.Proof {
	return idp.Proof{Method: m, Channels: []string{channel}, At: t0}
}

func passkey(verified, bound, attested bool) idp.Proof {
	return idp.Proof{Method: idp.MethodPasskey, Channels: []string{"key:1"}, UserVerified: verified, DeviceBound: bound, Attested: attested, At: t0}
}

func TestAssess(t *testing.T) {
	password := proof(idp.MethodPassword, "memory")
	reset := idp.Proof{Method: idp.MethodPassword, Channels: []string{"memory", "phone:1"}, At: t0} // set by a code to that phone
	for name, c := range map[string]struct {
		proofs []idp.Proof
		acr    idp.ACR
		amr    string
	}{
		"nothing":                           {nil, idp.ACR0, ""},
		"password":                          {[]idp.Proof{password}, idp.ACR1, "pwd"},
		"password twice":                    {[]idp.Proof{password, proof(idp.MethodPassword, "other")}, idp.ACR1, "pwd"},
		"TOTP alone":                        {[]idp.Proof{proof(idp.MethodTOTP, "totp:1")}, idp.ACR1, "otp"},
		"password, TOTP":                    {[]idp.Proof{password, proof(idp.MethodTOTP, "totp:1")}, idp.ACR2, "mfa otp pwd"},
		"TOTP, password":                    {[]idp.Proof{proof(idp.MethodTOTP, "totp:1"), password}, idp.ACR2, "mfa otp pwd"},
		"password, SMS":                     {[]idp.Proof{password, proof(idp.MethodSMS, "phone:1")}, idp.ACR2, "mfa pwd sms"},
		"password, mail":                    {[]idp.Proof{password, proof(idp.MethodMail, "mail:1")}, idp.ACR1, "otp pwd"},
		"password, kit":                     {[]idp.Proof{password, proof(idp.MethodBackup, "paper:1")}, idp.ACR2, "mfa otp pwd"},
		"TOTP, SMS: possession twice":       {[]idp.Proof{proof(idp.MethodTOTP, "totp:1"), proof(idp.MethodSMS, "phone:1")}, idp.ACR1, "otp sms"},
		"password of a reset, same phone":   {[]idp.Proof{reset, proof(idp.MethodSMS, "phone:1")}, idp.ACR1, "pwd sms"},
		"password of a reset, other phone":  {[]idp.Proof{reset, proof(idp.MethodSMS, "phone:2")}, idp.ACR2, "mfa pwd sms"},
		"PIN":                               {[]idp.Proof{proof(idp.MethodPIN, "pin:1")}, idp.ACR1, "pin"},
		"PIN, password: knowledge twice":    {[]idp.Proof{proof(idp.MethodPIN, "pin:1"), password}, idp.ACR1, "pin pwd"},
		"unknown method":                    {[]idp.Proof{proof("horoscope", "stars"), password}, idp.ACR1, "pwd"},
		"key without verification":          {[]idp.Proof{passkey(false, false, false)}, idp.ACR1, "swk user"},
		"password, key":                     {[]idp.Proof{password, passkey(false, false, false)}, idp.ACRPhr, "mfa pwd swk user"},
		"passkey":                           {[]idp.Proof{passkey(true, false, false)}, idp.ACRPhr, "mfa swk user"},
		"bound passkey, no attestation":     {[]idp.Proof{passkey(true, true, false)}, idp.ACRPhr, "hwk mfa user"},
		"attested but synced":               {[]idp.Proof{passkey(true, false, true)}, idp.ACRPhr, "mfa swk user"},
		"hardware":                          {[]idp.Proof{passkey(true, true, true)}, idp.ACRPhrh, "hwk mfa user"},
		"hardware unverified, password":     {[]idp.Proof{passkey(false, true, true), password}, idp.ACRPhrh, "hwk mfa pwd user"},
		"hardware unverified, TOTP":         {[]idp.Proof{passkey(false, true, true), proof(idp.MethodTOTP, "totp:1")}, idp.ACR1, "hwk otp user"},
		"mail, key without verification":    {[]idp.Proof{proof(idp.MethodMail, "mail:1"), passkey(false, false, false)}, idp.ACR1, "otp swk user"},
		"three, only two of them different": {[]idp.Proof{password, proof(idp.MethodMail, "mail:1"), proof(idp.MethodTOTP, "totp:1")}, idp.ACR2, "mfa otp pwd"},
	} {
		a := idp.Assess(c.proofs)
		if a.ACR != c.acr || strings.Join(a.AMR, " ") != c.amr {
			t.Errorf("%s: %v %v, want %v %q", name, a.ACR, a.AMR, c.acr, c.amr)
		}
		slices.Reverse(c.proofs)
		if b := idp.Assess(c.proofs); b.ACR != a.ACR {
			t.Errorf("%s: the order changes %v to %v", name, a.ACR, b.ACR)
		}
	}
}

func TestAuthTime(t *testing.T) {
	old, young := proof(idp.MethodPassword, "memory"), proof(idp.MethodTOTP, "totp:1")
	young.At = t0.Add(time.Hour)
	odd := proof("horoscope", "stars")
	odd.At = t0.Add(2 * time.Hour)
	if a := idp.Assess([]idp.Proof{young, odd, old}); !a.AuthTime.Equal(young.At) {
		t.Errorf("auth_time %v, want that of the newest proof %v", a.AuthTime, young.At)
	}
}

func TestDemandMet(t *testing.T) {
	at := func(p idp.Proof, minutes int) idp.Proof {
		p.At = t0.Add(time.Duration(minutes) * time.Minute)
		return p
	}
	pw, otp := proof(idp.MethodPassword, "memory"), proof(idp.MethodTOTP, "totp:1")
	sms, mail := proof(idp.MethodSMS, "phone:1"), proof(idp.MethodMail, "mail:1")
	for name, c := range map[string]struct {
		d      idp.Demand
		proofs []idp.Proof
		met    bool
	}{
		"nothing asked, nothing shown":         {idp.Demand{}, nil, false},
		"nothing asked, password":              {idp.Demand{}, []idp.Proof{pw}, true},
		"all: both fresh":                      {idp.Demand{ACR: idp.ACR2, Since: t0}, []idp.Proof{at(pw, 1), at(otp, 2)}, true},
		"all: exactly as old":                  {idp.Demand{ACR: idp.ACR2, Since: t0}, []idp.Proof{at(pw, 0), at(otp, 0)}, true},
		"all: password old":                    {idp.Demand{ACR: idp.ACR2, Since: t0}, []idp.Proof{at(pw, -1), at(otp, 2)}, false},
		"all: code old":                        {idp.Demand{ACR: idp.ACR2, Since: t0}, []idp.Proof{at(pw, 1), at(otp, -2)}, false},
		"all, class 1: old":                    {idp.Demand{Since: t0}, []idp.Proof{at(pw, -1), at(otp, -1)}, false},
		"one: possession fresh":                {idp.Demand{ACR: idp.ACR2, Since: t0, One: true}, []idp.Proof{at(pw, -60), at(otp, 2)}, true},
		"one: only knowledge fresh":            {idp.Demand{ACR: idp.ACR2, Since: t0, One: true}, []idp.Proof{at(pw, 1), at(otp, -2)}, false},
		"one, class 1: knowledge fresh":        {idp.Demand{ACR: idp.ACR1, Since: t0, One: true}, []idp.Proof{at(pw, 1)}, true},
		"one, class 1: nothing fresh":          {idp.Demand{ACR: idp.ACR1, Since: t0, One: true}, []idp.Proof{at(pw, -1), at(otp, -1)}, false},
		"one: fresh possession, class too low": {idp.Demand{ACR: idp.ACR2, Since: t0, One: true}, []idp.Proof{at(otp, 1)}, false},
		"one: nothing":                         {idp.Demand{ACR: idp.ACR1, One: true}, nil, false},
		"2*: password and mail":                {idp.Demand{ACR: idp.ACR2, TwoStar: true}, []idp.Proof{pw, mail}, true},
		"2*: password and SMS":                 {idp.Demand{ACR: idp.ACR2, TwoStar: true}, []idp.Proof{pw, sms}, true},
		"2*: password alone":                   {idp.Demand{ACR: idp.ACR2, TwoStar: true}, []idp.Proof{pw}, false},
		"2*: two channels, no password":        {idp.Demand{ACR: idp.ACR2, TwoStar: true}, []idp.Proof{sms, mail}, false},
		"2*: the mail that reset the password": {idp.Demand{ACR: idp.ACR2, TwoStar: true}, []idp.Proof{{Method: idp.MethodPassword, Channels: []string{"mail:1"}, At: t0}, mail}, false},
		"2*: too old":                          {idp.Demand{ACR: idp.ACR2, TwoStar: true, Since: t0}, []idp.Proof{at(pw, -1), at(mail, 1)}, false},
		"2* does not stand for phr":            {idp.Demand{ACR: idp.ACRPhr, TwoStar: true}, []idp.Proof{pw, mail}, false},
		"without 2* mail is no second factor":  {idp.Demand{ACR: idp.ACR2}, []idp.Proof{pw, mail}, false},
		"phr by password and TOTP":             {idp.Demand{ACR: idp.ACRPhr}, []idp.Proof{pw, otp}, false},
		"acr:2 by a passkey":                   {idp.Demand{ACR: idp.ACR2}, []idp.Proof{passkey(true, false, false)}, true},
	} {
		if got := c.d.Met(c.proofs); got != c.met {
			t.Errorf("%s: met %v, want %v", name, got, c.met)
		}
	}
}

func TestParseACR(t *testing.T) {
	for _, a := range []idp.ACR{idp.ACR1, idp.ACR2, idp.ACRPhr, idp.ACRPhrh} {
		if got, ok := idp.ParseACR(a.String()); !ok || got != a {
			t.Errorf("%v reads as %v, %v", a, got, ok)
		}
	}
	for _, s := range []string{"", "0", "urn:hufu:acr:0", "urn:hufu:acr:3", "PHR", "phr "} {
		if a, ok := idp.ParseACR(s); ok {
			t.Errorf("%q reads as %v", s, a)
		}
	}
}
