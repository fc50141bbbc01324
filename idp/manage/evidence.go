package manage

import (
	"context"
	"regexp"
	"strings"
	"time"

	"hufu/idp"
	"hufu/idp/normal"
	"hufu/idp/policy"
)

// tailForm is the end of an identity document: six characters, an X at most at the end.
var tailForm = regexp.MustCompile(`^[0-9]{5}[0-9X]$`)

// SetPersonalEvidence keeps what an agent compares when a person has lost everything, and
// what must not be in his password: the day of his birth (yyyymmdd) and the last six
// characters of his identity document; "" leaves what was kept. Only keyed hashes of it
// are stored, in the caller's transaction; who may do so, and the event, are the caller's.
func (m *Manager) SetPersonalEvidence(ctx context.Context, user, birthday, tail string) error {
	now := time.Now()
	day, err := birthdayOf(birthday, now)
	if err != nil {
		return err
	}
	end := strings.ToUpper(strings.Join(strings.Fields(normal.Password(tail)), ""))
	if end != "" && !tailForm.MatchString(end) {
		return idp.FieldError("document", "evidence.document")
	}
	return m.Store.Tx(ctx, func(ctx context.Context) error {
		for _, fact := range []struct {
			name, value string
			short       int // of it is kept as well
		}{{policy.FactBirthday, day, len("MMDD")}, {policy.FactDocumentTail, end, 4}} {
			if fact.value == "" {
				continue
			}
			for _, run := range []string{fact.value, fact.value[len(fact.value)-fact.short:]} {
				if err := m.Store.SetEvidence(ctx, user, policy.EvidenceKind(fact.name, run), run, now); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// birthdayOf is a typed day of birth as yyyymmdd: one that there is, of somebody alive.
func birthdayOf(typed string, now time.Time) (string, error) {
	if strings.TrimSpace(typed) == "" {
		return "", nil
	}
	digits, ok := normal.Digits(typed, len("yyyymmdd"))
	day, err := time.Parse("20060102", digits)
	if !ok || err != nil || day.Year() < 1900 || day.After(now) {
		return "", idp.FieldError("birthday", "evidence.birthday")
	}
	return digits, nil
}
