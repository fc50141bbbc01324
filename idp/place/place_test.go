package place

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hufu/idp/place/placetest"
)

func open(t *testing.T) *DB {
	cn := placetest.Named("CN", "China", "中国")
	name := filepath.Join(t.TempDir(), "places.mmdb")
	text := placetest.Database(map[string]any{
		"112.5.0.0/16":   map[string]any{"country": cn, "subdivisions": []any{placetest.Named("FJ", "Fujian", "福建")}, "city": placetest.Named("", "Fuzhou", "福州")},
		"1.2.3.0/24":     map[string]any{"country": cn, "subdivisions": []any{placetest.Named("BJ", "Beijing", "北京")}, "city": placetest.Named("", "Beijing", "北京")},
		"1.2.4.0/24":     map[string]any{"country": cn},
		"8.8.8.0/24":     map[string]any{"country": placetest.Named("US", "United States", "美国"), "subdivisions": []any{placetest.Named("CA", "California", "加利福尼亚州")}, "city": placetest.Named("", "Mountain View", "芒廷维尤")},
		"9.9.9.0/24":     map[string]any{"country": map[string]any{"iso_code": "SG", "names": map[string]any{"en": "Singapore"}}},
		"5.5.5.0/24":     "damaged",
		"2409:8000::/20": map[string]any{"country": cn, "subdivisions": []any{placetest.Named("FJ", "Fujian", "福建")}},
	})
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestPlaces(t *testing.T) {
	db := open(t)
	for addr, want := range map[string][3]string{
		"112.5.6.7":        {"福建 福州", "Fuzhou, Fujian", "CN-FJ"},
		"::ffff:112.5.6.7": {"福建 福州", "Fuzhou, Fujian", "CN-FJ"},
		"1.2.3.4":          {"北京", "Beijing", "CN-BJ"},
		"1.2.4.4":          {"中国", "China", "CN"},
		"8.8.8.8":          {"美国 加利福尼亚州", "California, United States", "US-CA"},
		"9.9.9.9":          {"Singapore", "Singapore", "SG"},
		"2409:8000::1":     {"福建", "Fujian", "CN-FJ"},
		"5.5.5.5":          {},
		"127.0.0.1":        {},
		"::1":              {},
		"fe80::1%eth0":     {},
	} {
		a := netip.MustParseAddr(addr)
		if got := [3]string{db.Of(a, "zh-CN"), db.Of(a, "en"), db.Region(a)}; got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
	for network, want := range map[string]string{"112.5.6.0/24": "福建 福州", "2409:8000::/48": "福建", "112.5.6.7": "", "": "", "somewhere": ""} {
		if got := db.OfNetwork(network, "zh-CN"); got != want {
			t.Errorf("%s: %q, want %q", network, got, want)
		}
	}
}

func TestNoDatabase(t *testing.T) {
	var db *DB
	if db.Of(netip.MustParseAddr("112.5.6.7"), "en")+db.Region(netip.Addr{})+db.OfNetwork("112.5.6.0/24", "en") != "" {
		t.Error("knows a place")
	}
	if open(t).Region(netip.Addr{}) != "" {
		t.Error("the place of no address")
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("opened a file that is missing")
	}
	name := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(name, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name); err == nil || !strings.Contains(err.Error(), "MaxMind") {
		t.Errorf("opened a text: %v", err)
	}
}
