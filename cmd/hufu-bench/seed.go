package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/idp/server"
	"hufu/storage"
)

// A store is the database under measurement, in a folder of its own or where a DSN says.
type store struct {
	Dir string `default:"bench-data" help:"Folder of the key and the SQLite file."`
	DSN string `help:"PostgreSQL database (postgres://…) in place of the SQLite file."`
}

// open opens the database with its schema and the shipped policy.
func (c store) open(ctx context.Context) (*storage.Store, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	cfg := server.Defaults(c.Dir, true)
	if c.DSN != "" {
		cfg.Database.DSN = idp.Secret(c.DSN)
	}
	ring, err := cfg.Ring()
	if err != nil {
		return nil, err
	}
	s, err := storage.Open(ctx, cfg.Database.DSN.Reveal(), ring, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	if err := s.Migrate(ctx); err != nil {
		return nil, err
	}
	return s, s.FoundEdition(ctx, policy.Default().Document.Format(), time.Now())
}

// seedCmd makes a population: merchants of every tier with their staff, of whom some have a
// second factor, passwords of many lengths, and sign-ins of the last month.
type seedCmd struct {
	store
	Users int `default:"200000" help:"People."`
	Staff int `default:"5" help:"People of a merchant."`
}

const seedBatch = 1000

func (c seedCmd) Run(ctx context.Context) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	start, r := time.Now(), rand.New(rand.NewPCG(1, uint64(c.Users)))
	var m idp.Merchant
	for made := 0; made < c.Users; {
		var people []storage.Seeded
		for len(people) < min(seedBatch, c.Users-made) {
			i := made + len(people)
			if i%c.Staff == 0 {
				if m, err = merchant(ctx, s, r, i/c.Staff); err != nil {
					return err
				}
			}
			people = append(people, person(r, m, i, c.Staff, start))
		}
		if err := s.Seed(ctx, people, start); err != nil {
			return err
		}
		made += len(people)
		bar("people", made, c.Users, start)
	}
	return nil
}

func merchant(ctx context.Context, s *storage.Store, r *rand.Rand, i int) (idp.Merchant, error) {
	tiers := []idp.Tier{idp.TierMicro, idp.TierMicro, idp.TierMicro, idp.TierStandard, idp.TierStandard, idp.TierHighValue}
	m := idp.Merchant{No: fmt.Sprintf("8330%011d", i), LegalName: fmt.Sprintf("商户 %d", i), Tier: tiers[r.IntN(len(tiers))], Status: idp.MerchantActive}
	return m, s.CreateMerchant(ctx, &m)
}

func person(r *rand.Rand, m idp.Merchant, i, staff int, now time.Time) storage.Seeded {
	role := idp.RoleCashier
	switch i % staff {
	case 0:
		role = idp.RoleOwner
	case 1:
		role = idp.RoleManager
	}
	ago := func(most int) time.Time { return now.AddDate(0, 0, -r.IntN(most)) }
	p := storage.Seeded{User: idp.User{Name: "某人", Language: "zh-CN", Role: role, MerchantID: m.ID, GraceFrom: ago(400)},
		Names: []idp.Identifier{{Kind: idp.IdentifierUsername, Value: fmt.Sprintf("user.%d", i)}},
		Creds: []idp.Credential{{Method: idp.MethodPassword, Data: []byte("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA"), CreatedAt: ago(400)}}}
	if r.IntN(10) > 0 {
		p.Names = append(p.Names, idp.Identifier{Kind: idp.IdentifierPhone, Value: fmt.Sprintf("+86139%08d", i), VerifiedAt: ago(200)})
	}
	if r.IntN(3) == 0 {
		p.Creds = append(p.Creds, idp.Credential{Method: idp.MethodTOTP, Data: []byte("{}"), CreatedAt: ago(300)})
	}
	if r.IntN(10) > 1 {
		p.Measures = policy.Measures{Length: 8 + r.IntN(16), Classes: 1 + r.IntN(4), Lower: true, Score: r.IntN(5), Repeat: 1 + r.IntN(3), Sequence: 1 + r.IntN(3), Walk: 1 + r.IntN(4)}.Write()
	}
	return p
}

// bar draws how far a long run has come, on standard error.
func bar(what string, done, total int, start time.Time) {
	const width = 30
	full := width * done / max(1, total)
	left := time.Duration(0)
	if done > 0 {
		left = time.Duration(float64(time.Since(start)) * float64(total-done) / float64(done)).Round(time.Second)
	}
	fmt.Fprintf(os.Stderr, "\r%s [%-*s] %d / %d, %v left   ", what, width, "##############################"[:full], done, total, left)
	if done >= total {
		fmt.Fprintln(os.Stderr)
	}
}
