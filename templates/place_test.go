package templates

import "testing"

func TestPlace(t *testing.T) {
	for network, want := range map[string]string{"112.5.6.0/24": "112.5.6.*", "112.5.0.0/24": "112.5.0.*", "127.0.0.0/24": "this machine", "::/48": "this machine",
		"2001:db8:7::/48": "2001:db8:7:*", "10.0.0.0/8": "10.0.0.0/8", "Fuzhou": "Fuzhou", "": ""} {
		if got := (Frame{Lang: "en"}).Place(network); got != want {
			t.Errorf("%q: %q, want %q", network, got, want)
		}
	}
}
