package web

import (
	"net/http"
	"strings"
)

// Device names the class of browser and system of a request, such as
// "Chrome · Windows": for display only, never for a decision, and short enough to
// tell nobody apart.
func Device(r *http.Request) string {
	ua := r.UserAgent()
	return first(ua, browsers, "Browser") + " · " + first(ua, systems, "?")
}

type mark struct{ part, name string }

// The order matters: most browsers also name the ones they descend from.
var browsers = []mark{{"MicroMessenger", "WeChat"}, {"AlipayClient", "Alipay"}, {"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung"},
	{"HuaweiBrowser", "Huawei"}, {"MiuiBrowser", "Xiaomi"}, {"Firefox", "Firefox"}, {"FxiOS", "Firefox"}, {"CriOS", "Chrome"}, {"Chrome", "Chrome"},
	{"Safari", "Safari"}, {"curl", "curl"}}

var systems = []mark{{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"HarmonyOS", "HarmonyOS"}, {"Android", "Android"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"},
	{"CrOS", "ChromeOS"}, {"Linux", "Linux"}}

func first(ua string, marks []mark, other string) string {
	for _, m := range marks {
		if strings.Contains(ua, m.part) {
			return m.name
		}
	}
	return other
}
