package templates

import (
	"fmt"
	"html/template"
	"time"
)

// Mainland China has one zone and no summer time; a fixed one needs no time zone files on the machine.
var china = time.FixedZone("UTC+8", 8*60*60)

// The layouts stand in the catalogue, so a language brings its own.

// When prints a date and a time; the year only if it is another one.
func (f Frame) When(t time.Time) template.HTML { return f.stamp(t, f.Moment(t)) }

// Day prints a date.
func (f Frame) Day(t time.Time) template.HTML {
	if t.IsZero() {
		return f.never()
	}
	return f.stamp(t, f.Date(t))
}

// Date is Day without markup.
func (f Frame) Date(t time.Time) string { return f.layout(t, "time.day", "time.day_year") }

// At prints the time of day.
func (f Frame) At(t time.Time) template.HTML { return f.stamp(t, f.Clock(t)) }

// Moment is When without markup, for mail and text messages.
func (f Frame) Moment(t time.Time) string { return f.layout(t, "time.moment", "time.moment_year") }

// Clock is At without markup.
func (f Frame) Clock(t time.Time) string { return t.In(f.Zone).Format(f.T("time.clock")) }

// Seconds is the time of day with its seconds, to compare with a receipt or a screen.
func (f Frame) Seconds(t time.Time) template.HTML {
	return f.stamp(t, t.In(f.Zone).Format(f.T("time.seconds")))
}

// Since prints how long ago something was, in the largest whole unit.
func (f Frame) Since(t time.Time) template.HTML { return f.stamp(t, f.Ago(f.Now.Sub(t))) }

// Ago is Since without markup.
func (f Frame) Ago(d time.Duration) string {
	unit, n := largest(d)
	return f.T("time.ago_"+unit, n)
}

// Span is a length of time in words, in the largest unit, rounded up: a promise is never too short.
func (f Frame) Span(d time.Duration) string {
	switch {
	case d <= 90*time.Second:
		return f.T("time.span_seconds", int((d+time.Second-1)/time.Second))
	case d <= 90*time.Minute:
		return f.T("time.span_minutes", int((d+time.Minute-1)/time.Minute))
	case d <= 36*time.Hour:
		return f.T("time.span_hours", int((d+time.Hour-1)/time.Hour))
	}
	return f.T("time.span_days", int((d+24*time.Hour-1)/(24*time.Hour)))
}

// A deadline is when a waiting time ends.
type deadline struct {
	Until time.Time     // for a clock that shows minutes
	For   time.Duration // from now
	Stamp string
}

// Left is the waiting time until a moment or, if that is zero, of so many seconds from now.
func (f Frame) Left(until time.Time, seconds int) deadline {
	if until.IsZero() {
		until = f.Now.Add(time.Duration(seconds) * time.Second)
	}
	return deadline{fullMinute(until), max(0, until.Sub(f.Now)), until.UTC().Format(time.RFC3339)}
}

// fullMinute is the first one at or after t: who comes back when a clock shows it has waited long enough.
func fullMinute(t time.Time) time.Time {
	if full := t.Truncate(time.Minute); full.Before(t) {
		return full.Add(time.Minute)
	}
	return t
}

func largest(d time.Duration) (unit string, n int) {
	switch {
	case d < time.Second:
		return "now", 0
	case d < time.Minute:
		return "seconds", int(d / time.Second)
	case d < time.Hour:
		return "minutes", int(d / time.Minute)
	case d < 24*time.Hour:
		return "hours", int(d / time.Hour)
	}
	return "days", int(d / (24 * time.Hour))
}

func (f Frame) layout(t time.Time, thisYear, otherYear string) string {
	t = t.In(f.Zone)
	if t.Year() == f.Now.In(f.Zone).Year() {
		return t.Format(f.T(thisYear))
	}
	return t.Format(f.T(otherYear))
}

func (f Frame) stamp(t time.Time, words string) template.HTML {
	if t.IsZero() {
		return f.never()
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`,
		t.In(f.Zone).Format(time.RFC3339), template.HTMLEscapeString(words)))
}

func (f Frame) never() template.HTML {
	return template.HTML(template.HTMLEscapeString(f.T("time.never")))
}
