package manage

import (
	"bytes"
	"testing"
	"time"

	"hufu/idp"
	"hufu/idp/policy"
	"hufu/storage"
	"hufu/storage/storagetest"
)

// What is kept of a birthday and a document are four hashes of that person alone; what is no
// day of somebody alive, or no end of a document, changes nothing.
func TestPersonalEvidence(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, s *storage.Store) {
		h, ctx := newHouse(t, s), t.Context()
		other := h.shop[idp.RoleCashier]
		h.must(h.SetPersonalEvidence(ctx, h.owner.ID, " 1990-05-12 ", "12 ７31x"))
		h.must(h.SetPersonalEvidence(ctx, other.ID, "19900512", ""))
		his, err := s.Evidence(ctx, h.owner.ID)
		h.must(err)
		others, err := s.Evidence(ctx, other.ID)
		h.must(err)
		if len(his) != 4 || len(others) != 2 || bytes.Equal(his["birthday"], others["birthday"]) {
			t.Fatalf("%d and %d kept", len(his), len(others))
		}
		for kind, value := range map[string]string{"birthday": "19900512", "birthday.md": "0512", "document.4": "731X", "document.6": "12731X"} {
			if !bytes.Equal(his[kind], s.EvidenceHash(h.owner.ID, kind, value)) {
				t.Errorf("%s is not the hash of %s", kind, value)
			}
		}
		for _, bad := range [][2]string{{"1990-02-30", ""}, {"18991231", ""}, {time.Now().AddDate(0, 0, 2).Format("20060102"), ""}, {"900512", ""}, {"12051990x", ""},
			{"", "731X"}, {"", "1X731X"}, {"", "1127310"}, {"", "12731Y"}, {"20000101", "12731٣!"}} {
			if err := h.SetPersonalEvidence(ctx, h.owner.ID, bad[0], bad[1]); idp.KindOf(err) != idp.Invalid {
				t.Errorf("%v: %v", bad, err)
			}
		}
		h.must(h.SetPersonalEvidence(ctx, h.owner.ID, "", "004321"))
		now, err := s.Evidence(ctx, h.owner.ID)
		h.must(err)
		if !bytes.Equal(now["birthday"], his["birthday"]) || bytes.Equal(now["document.4"], his["document.4"]) || bytes.Equal(now["document.6"], his["document.6"]) {
			t.Error("a new document leaves the birthday alone and takes the place of both tails")
		}
		// What the command line sets as a password obeys them, too.
		u := h.owner
		_, f, err := h.facts(ctx, u, nil)
		h.must(err)
		if !f.HashHit[policy.FactBirthday]("0512") || f.HashHit[policy.FactBirthday]("0513") || !f.HashHit[policy.FactDocumentTail]("4321") || f.HashHit[policy.FactDocumentTail]("731X") {
			t.Error("hits")
		}
	})
}
