package templates

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"hufu/idp"
)

// catalogue reads a locale file as it stands: every key with every form of its text.
func catalogue(t *testing.T, lang string) map[string][]string {
	t.Helper()
	data, err := files.ReadFile("locales/" + lang + ".toml")
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]any
	if err := toml.Unmarshal(data, &raw); err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for key, value := range raw {
		switch value := value.(type) {
		case string:
			all[key] = []string{value}
		case map[string]any:
			for form, text := range value {
				s, ok := text.(string)
				if !ok {
					t.Fatalf("%s: %s.%s is not a text", lang, key, form)
				}
				all[key] = append(all[key], s)
			}
		default:
			t.Fatalf("%s: %s is %T", lang, key, value)
		}
	}
	return all
}

var verb = regexp.MustCompile(`%(\[\d+\])?[a-z]`)

func verbs(text string) string { return strings.Join(verb.FindAllString(text, -1), " ") }

func TestCataloguesAgree(t *testing.T) {
	first := catalogue(t, Languages()[0].Tag)
	for _, l := range Languages() {
		other := catalogue(t, l.Tag)
		for key := range first {
			if other[key] == nil {
				t.Errorf("%s lacks %q", l.Tag, key)
			}
		}
		for key, texts := range other {
			if first[key] == nil {
				t.Errorf("%s alone has %q", l.Tag, key)
				continue
			}
			for _, text := range texts {
				if strings.TrimSpace(text) == "" {
					t.Errorf("%s: %q is empty", l.Tag, key)
				}
				if verbs(text) != verbs(first[key][0]) {
					t.Errorf("%s: %q takes %q, elsewhere %q", l.Tag, key, verbs(text), verbs(first[key][0]))
				}
			}
		}
	}
}

// Voice: no exclamation marks and no excuses, whatever the language; Chinese with a space beside Latin words.
func TestVoice(t *testing.T) {
	for _, l := range Languages() {
		for key, texts := range catalogue(t, l.Tag) {
			for _, text := range texts {
				for _, never := range []string{"!", "！", "抱歉", "对不起", "稍后", "Please", "please", "Sorry", "sorry", "Oops"} {
					if strings.Contains(text, never) {
						t.Errorf("%s: %q says %q", l.Tag, key, never)
					}
				}
			}
		}
	}
}

var constantKey = regexp.MustCompile(`\.(?:T|H|Field|Choice) "([^"]+)"(?: "([a-z][a-z0-9._-]+)")?(?: "([a-z][a-z0-9._-]+)")?`)

// Every key that a template names exists, also on branches that no sample walks.
func TestTemplatesNameKnownKeys(t *testing.T) {
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".html") && !strings.HasSuffix(name, ".txt") {
			return err
		}
		source, err := fs.ReadFile(os.DirFS("."), name)
		if err != nil {
			return err
		}
		text := regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(string(source), "")
		for _, m := range constantKey.FindAllStringSubmatch(text, -1) {
			keys := m[1:2]
			if strings.HasPrefix(m[0], ".Field") || strings.HasPrefix(m[0], ".Choice") {
				keys = m[2:]
			}
			for _, key := range keys {
				if key != "" && !known(key) {
					t.Errorf("%s: no text %q", name, key)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var saidByCode = regexp.MustCompile(`"((?:error|reason|public|problem|purpose)\.[a-z0-9_.]*[a-z0-9])"|(?:Msg: +|Errorf\([\w.]+, |FieldError\([^,()]+, )"([a-z0-9_.-]+)"`)

// Every key that the server's code says to a person exists. The sample applications have catalogues of their own.
func TestCodeNamesKnownKeys(t *testing.T) {
	for _, room := range []string{"idp", "flows", "storage", "cmd/hufu"} {
		root := os.DirFS("../" + room)
		err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			source, err := fs.ReadFile(root, name)
			if err != nil {
				return err
			}
			for _, m := range saidByCode.FindAllStringSubmatch(string(source), -1) {
				if key := m[1] + m[2]; !strings.HasSuffix(key, ".") && !known(key) {
					t.Errorf("%s/%s: no text %q", room, name, key)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryNameOfTheVocabularyHasWords(t *testing.T) {
	var keys []string
	for name := range idp.EventNames {
		keys = append(keys, "event."+name)
	}
	for _, role := range idp.Roles {
		keys = append(keys, "role."+string(role))
	}
	for _, kind := range idp.TerminalKinds {
		keys = append(keys, "kind."+string(kind))
	}
	for _, tier := range []idp.Tier{idp.TierMicro, idp.TierStandard, idp.TierHighValue} {
		keys = append(keys, "tier."+string(tier))
	}
	for state := range tones {
		keys = append(keys, "state."+state)
	}
	for _, state := range []idp.UserStatus{idp.UserInvited, idp.UserActive, idp.UserLeft, idp.UserDisabled, idp.UserErased} {
		keys = append(keys, "state."+string(state))
	}
	for _, state := range []idp.MerchantStatus{idp.MerchantPending, idp.MerchantActive, idp.MerchantSuspended, idp.MerchantClosed} {
		keys = append(keys, "state."+string(state))
	}
	for _, state := range []idp.TerminalState{idp.TerminalNew, idp.TerminalActive, idp.TerminalSuspended, idp.TerminalLost, idp.TerminalRetired} {
		keys = append(keys, "state."+string(state))
	}
	for _, kind := range []idp.IdentifierKind{idp.IdentifierUsername, idp.IdentifierPhone, idp.IdentifierEmail, idp.IdentifierMerchantNo} {
		keys = append(keys, "error.taken."+string(kind), "error.identifier."+string(kind))
	}
	for _, key := range keys {
		if !known(key) {
			t.Errorf("no text %q", key)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct{ accept, cookie, uiLocales, want string }{
		{"", "", "", "zh-CN"},
		{"en-GB,en;q=0.9", "", "", "en"},
		{"zh-TW,zh;q=0.9,en;q=0.8", "", "", "zh-CN"},
		{"fr-FR,fr;q=0.9", "", "", "zh-CN"},
		{"fr-FR,en;q=0.5", "", "", "en"},
		{"zh-CN", "", "fr en", "en"},
		{"zh-CN", "en", "zh-CN", "en"},
		{"en", "xx", "", "en"},
		{"en", "!!", ";;;", "en"},
		{strings.Repeat("en,", 1000), "", "", "zh-CN"},
	} {
		if got := Match(c.accept, c.cookie, c.uiLocales); got != c.want {
			t.Errorf("Match(%.40q, %q, %q) = %s, want %s", c.accept, c.cookie, c.uiLocales, got, c.want)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("en-GB,en;q=0.9", "en", "fr en")
	f.Fuzz(func(t *testing.T, accept, cookie, uiLocales string) {
		got := Match(accept, cookie, uiLocales)
		if !slices.Contains(slices.Collect(maps.Keys(localizers)), got) {
			t.Errorf("Match = %q", got)
		}
	})
}

func TestT(t *testing.T) {
	for _, c := range []struct {
		lang, key string
		args      []any
		want      string
	}{
		{"zh-CN", "next", nil, "下一步"},
		{"en", "time.ago_minutes", []any{1}, "1 minute ago"},
		{"en", "time.ago_minutes", []any{2}, "2 minutes ago"},
		{"zh-CN", "time.ago_minutes", []any{1}, "1 分钟前"},
		{"en", "steps.signin", []any{1}, "Sign-in progress, 1 steps"}, // one form for every number
		{"zh-CN", "public.s2", []any{noon}, "这里试的次数太多，12:00 以后可以再试"},
		{"en", "next", []any{"left over"}, "Next"},
		{"xx", "next", nil, "下一步"},
		{"en", "no.such.key", nil, "⟦no.such.key⟧"},
	} {
		if got := T(c.lang, c.key, c.args...); got != c.want {
			t.Errorf("T(%s, %s, %v) = %q, want %q", c.lang, c.key, c.args, got, c.want)
		}
	}
}

func TestLanguages(t *testing.T) {
	if got := Languages(); got[0] != (Language{"zh-CN", "中文"}) || !slices.Contains(got, Language{"en", "English"}) {
		t.Errorf("Languages = %v", got)
	}
}
