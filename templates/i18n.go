package templates

import (
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	i18ntext "github.com/nicksnyder/go-i18n/v2/i18n/template"
	"github.com/pelletier/go-toml/v2"
	"golang.org/x/text/language"
)

// Language is one that the pages speak, named in itself.
type Language struct{ Tag, Name string }

// The first language is the default: whoever asks for one that does not exist reads Chinese.
var defaultTag = language.MustParse("zh-CN")

var (
	bundle, languages = loadLocales()
	localizers        = makeLocalizers()
	matcher           = makeMatcher()
)

// loadLocales reads every file in locales/: a third language is one more file.
func loadLocales() (*i18n.Bundle, []Language) {
	b := i18n.NewBundle(defaultTag)
	b.RegisterUnmarshalFunc("toml", toml.Unmarshal)
	names, err := fs.Glob(files, "locales/*.toml")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	var found []Language
	for _, name := range names {
		if _, err := b.LoadMessageFileFS(files, name); err != nil {
			panic(fmt.Sprintf("templates: %s: %v", name, err))
		}
		tag := strings.TrimSuffix(path.Base(name), ".toml")
		found = append(found, Language{Tag: tag, Name: translate(i18n.NewLocalizer(b, tag), "language.name")})
	}
	slices.SortFunc(found, func(x, y Language) int { // the default first, then by tag
		if d := defaultTag.String(); x.Tag == d || y.Tag == d {
			return strings.Compare(fmt.Sprint(x.Tag != d), fmt.Sprint(y.Tag != d))
		}
		return strings.Compare(x.Tag, y.Tag)
	})
	return b, found
}

func makeLocalizers() map[string]*i18n.Localizer {
	all := map[string]*i18n.Localizer{}
	for _, l := range languages {
		all[l.Tag] = i18n.NewLocalizer(bundle, l.Tag)
	}
	return all
}

func makeMatcher() language.Matcher {
	tags := make([]language.Tag, len(languages))
	for i, l := range languages {
		tags[i] = language.MustParse(l.Tag)
	}
	return language.NewMatcher(tags)
}

// Languages lists what the pages speak, the default first.
func Languages() []Language { return slices.Clone(languages) }

// Match chooses the language of a page: what the person chose here (the cookie), else what the application asked for
// (ui_locales, OpenID Connect Core 3.1.2.1, separated by spaces), else what the browser says, else Chinese.
func Match(acceptLanguage, cookie, uiLocales string) string {
	for _, wish := range []string{cookie, strings.ReplaceAll(uiLocales, " ", ","), acceptLanguage} {
		if wish == "" || len(wish) > 256 { // nobody reads that many languages
			continue
		}
		tags, _, err := language.ParseAcceptLanguage(wish)
		if err != nil || len(tags) == 0 {
			continue
		}
		if _, i, sure := matcher.Match(tags...); sure > language.No {
			return languages[i].Tag
		}
	}
	return languages[0].Tag
}

// T translates a catalogue key. Arguments fill the verbs of the text (%s, %d, %[2]s) and the first whole number chooses
// the plural form. A key that is missing shows itself, so that it is found and never an empty sentence.
func T(lang, key string, args ...any) string { return Frame{Lang: lang}.filled().T(key, args...) }

// T translates in the language and the time zone of the frame. A time among the arguments is the end of a wait.
func (f Frame) T(key string, args ...any) string {
	for i, arg := range args {
		if t, ok := arg.(time.Time); ok {
			args = slices.Clone(args)
			args[i] = f.Clock(fullMinute(t))
		}
	}
	return translate(localizers[f.Lang], key, args...)
}

// H is T for texts that hold <b> or <code>; arguments are escaped.
func (f Frame) H(key string, args ...any) template.HTML {
	safe := make([]any, len(args))
	for i, arg := range args {
		safe[i] = arg
		if s, ok := arg.(string); ok {
			safe[i] = template.HTMLEscapeString(s)
		}
	}
	return template.HTML(f.T(key, safe...)) // the text itself is ours
}

func translate(l *i18n.Localizer, key string, args ...any) string {
	ask := &i18n.LocalizeConfig{MessageID: key, PluralCount: count(args), TemplateParser: i18ntext.IdentityParser{}}
	text, err := l.Localize(ask)
	if text == "" && err != nil && ask.PluralCount != nil { // a text with one form for every number
		ask.PluralCount = nil
		text, err = l.Localize(ask)
	}
	switch {
	case text == "" && err != nil:
		return "⟦" + key + "⟧"
	case len(args) == 0 || !strings.Contains(text, "%"):
		return text
	}
	return fmt.Sprintf(text, args...)
}

func count(args []any) any {
	for _, arg := range args {
		if n, ok := arg.(int); ok {
			return n
		}
	}
	return nil
}

// known says whether the catalogue has a key.
func known(key string) bool {
	return !strings.HasPrefix(T(languages[0].Tag, key), "⟦")
}

// Or translates a key that is made from data, such as a scope's; if the catalogue lacks it, other stands as it is.
func (f Frame) Or(key, other string) string {
	if known(key) {
		return f.T(key)
	}
	return other
}

// List is the words of some keys, with commas between.
func (f Frame) List(keys []string) string {
	words := make([]string, len(keys))
	for i, key := range keys {
		words[i] = f.T(key)
	}
	return strings.Join(words, f.T("comma"))
}

// A languageLink switches this page to another language.
type languageLink struct {
	Language
	URL string
}

// Languages are the links of the header: every language but the page's own.
func (f Frame) Languages() []languageLink {
	var links []languageLink
	for _, l := range languages {
		if l.Tag != f.Lang {
			q := url.Values{"to": {l.Tag}, "back": {f.Path}}
			links = append(links, languageLink{l, "/lang?" + q.Encode()})
		}
	}
	return links
}
