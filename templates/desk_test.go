package templates

import (
	"html/template"
)

// partsPage puts every part of the console's frame on one page, which exists in the tests alone.
type partsPage struct {
	Desk
	Form
	Crumbs []Crumb
	Events []EventRow
	Pager  Pager
	Empty  Empty
	States []Option
	Saved  string
}

func (partsPage) Page() string { return "parts" }

const partsSource = `{{template "desk" .}}
{{define "title"}}{{.T "where.console"}}{{end}}
{{define "main"}}
{{template "summary" .}}
{{template "crumbs" (.With .Page.Crumbs)}}
{{template "saved" .}}
<div class="row split"><div class="row"><h1>林薇</h1>{{.State "locked"}}{{.Pill "plain" "店主"}}</div></div>
{{template "note" (note "bad" "lock" (.T "wait.note"))}}
<form class="filters" method="get" action="/console/users">{{template "choice" (.Choice "state" "reason.label" .Page.States)}}{{template "filter-acts" (.With "/console/users")}}</form>
<section class="card" aria-labelledby="t"><h2 id="t">{{.T "account.title"}}</h2><div class="flush"><table class="fold" role="table"><caption class="vh">x</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">{{.T "col.login"}}</th><th scope="col" role="columnheader">{{.T "col.role"}}</th></tr></thead><tbody role="rowgroup">
<tr role="row"><th scope="row" role="rowheader"><a href="/console/users/1">lin.wei</a></th><td role="cell" data-label="{{.T "col.role"}}"><span>{{.T "role.owner"}}</span></td></tr></tbody></table>
{{template "pager" (.With .Page.Pager)}}</div></section>
<section class="card" aria-labelledby="e"><h2 id="e">{{.T "account.events"}}</h2>{{template "trail" (.With .Page.Events)}}{{template "empty" .Page.Empty}}</section>
<form class="stack" method="post" action="/console/users/1/lift">{{template "reason" ((.Field "reason" "reason.label" "reason.hint").Fill "<b>\"x\"</b>")}}
<button class="btn danger" type="submit">{{.T "account.end"}}</button></form>
{{end}}`

var _ = addParts()

func addParts() bool {
	frames := template.Must(template.New("").Funcs(funcs).ParseFS(files, "partials/*.html"))
	pages["parts"] = template.Must(frames.New("parts").Parse(partsSource))
	return true
}

func deskSamples() []sample {
	desk := Desk{Active: "/console/users", Find: "/console/find", Query: `<"x">`, Items: []NavItem{
		{"/console", "where.console", "overview", "", 0}, {"/console/users", "account.title", "users", "account.events", 4},
		{"/console/terminals", "where.terminal", "terminal", "account.events", 0}}}
	return []sample{{"parts", partsPage{Desk: desk, Form: bad("reason", "reason.empty"), Saved: "account.saved.ended",
		Crumbs: []Crumb{{"人员", "/console/users"}, {"林薇", ""}}, Events: []EventRow{{At: noon, NameKey: "event.lock.closed", Place: "112.5.*.*", Tone: "bad"}},
		Pager: Pager{"50", "/console/users?before=x", "/console/users?after=y"}, Empty: Empty{"box", "还没有终端", "…", "/console", "怎么操作"},
		States: []Option{{"", "全部", false}, {"active", "正常", true}}}}}
}
