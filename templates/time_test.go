package templates

import (
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	zh, en := frame("zh-CN").filled(), frame("en").filled()
	morning := time.Date(2026, 3, 10, 0, 5, 9, 0, time.UTC)
	paris := en
	paris.Zone = time.FixedZone("CET", 3600)
	for _, c := range []struct{ got, want string }{
		{string(zh.When(morning)), `<time datetime="2026-03-10T08:05:09+08:00">3 月 10 日 08:05</time>`},
		{string(en.When(morning)), `<time datetime="2026-03-10T08:05:09+08:00">10 March, 08:05</time>`},
		{string(paris.At(morning)), `<time datetime="2026-03-10T01:05:09+01:00">01:05</time>`},
		{string(zh.Seconds(morning)), `<time datetime="2026-03-10T08:05:09+08:00">08:05:09</time>`},
		{string(zh.Day(morning.AddDate(-1, 0, 0))), `<time datetime="2025-03-10T08:05:09+08:00">2025 年 3 月 10 日</time>`},
		{string(en.When(time.Date(2025, 12, 31, 16, 30, 0, 0, time.UTC))), `<time datetime="2026-01-01T00:30:00+08:00">1 January, 00:30</time>`},
		{string(en.When(time.Time{})), "not yet"},
		{string(zh.Day(time.Time{})), "还没有"},
		{string(zh.Since(noon.Add(-40 * time.Second))), `<time datetime="2026-03-10T11:59:20+08:00">40 秒前</time>`},
		{en.Ago(0), "just now"},
		{en.Ago(-time.Hour), "just now"},
		{en.Ago(59*time.Minute + 59*time.Second), "59 minutes ago"},
		{en.Ago(time.Hour), "1 hour ago"},
		{en.Ago(49 * time.Hour), "2 days ago"},
		{en.Span(time.Second), "1 second"},
		{en.Span(11*time.Minute + time.Second), "12 minutes"},
		{zh.Span(3 * time.Hour), "3 小时"},
		{zh.Span(72 * time.Hour), "3 天"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}
