package admin

import (
	"slices"
	"strconv"
	"strings"

	"hufu/idp"
	"hufu/idp/manage"
	"hufu/storage"
	"hufu/templates"
)

var messageColumns = []string{"console.message.what", "console.col.when", "console.message.channel", "console.message.to", "console.col.state", "console.message.attempts", "console.message.trouble"}

// messageFilter is what the outbox is narrowed to. Where nothing is said the page shows
// those given up, if there are any; a file does not change its mind on the way.
func (v *visit) messageFilter(before string, dead int64) storage.MessageFilter {
	state := v.query("state")
	if state == "" && dead > 0 && v.r.URL.Path == "/console/messages" {
		state = string(idp.MessageDead)
	}
	return storage.MessageFilter{Before: before, State: idp.MessageState(state), Channel: idp.ChannelKind(v.query("channel")), Template: v.query("template")}
}

// messages lists the outbox. What the messages say is not read from the database.
func (v *visit) messages() error {
	ctx, c := v.r.Context(), v.cursor("before")
	filters, err := v.messageFilters()
	if err != nil {
		return err
	}
	p := templates.ConsoleList{Desk: v.desk("/console/messages"), Title: "console.messages", Saved: v.note(), Action: "/console/messages", Filters: filters,
		None: templates.Empty{Icon: "mail", Title: v.t("console.none.messages")}}
	_, dead, err := v.Store.CountMessages(ctx)
	if err != nil {
		return err
	}
	f := v.messageFilter(c.at, dead)
	p.Export = v.exportLink("state", string(f.State))
	rows, err := v.Store.MessageHeads(ctx, f, pageSize+1)
	if err != nil {
		return err
	}
	rows, p.Pager = page(v, c, rows, func(m idp.Message) string { return m.ID })
	p.Table = v.messageTable(rows)
	return v.write(p)
}

func (v *visit) messageFilters() ([]templates.Input, error) {
	due, dead, err := v.Store.CountMessages(v.r.Context())
	f := v.messageFilter("", dead)
	states := []templates.Option{{Value: "dead", Text: v.t("console.message.state_n", v.t("state.dead"), int(dead))}, {Value: "due", Text: v.t("console.message.state_n", v.t("state.due"), int(due))},
		{Value: "sent", Text: v.t("state.sent")}, {Value: "all", Text: v.t("filter.all")}}
	shown := slices.IndexFunc(states, func(o templates.Option) bool { return o.Value == string(f.State) })
	if shown < 0 {
		shown = len(states) - 1
	}
	states[shown].Chosen = true
	return []templates.Input{{Name: "state", Label: "console.col.state", Kind: "select", Options: states},
		{Name: "channel", Label: "console.message.channel", Kind: "select", Options: v.all(choices(v, "channel.", f.Channel, idp.ChannelSMS, idp.ChannelMail))},
		{Name: "template", Label: "console.message.what", Kind: "select", Options: v.all(choices(v, "message.", f.Template, idp.MessageTemplates...))}}, err
}

var messageExportColumns = []string{"console.id", "console.message.what", "console.message.channel", "console.export.user", "console.message.to", "console.col.state", "console.message.attempts",
	"console.message.trouble", "console.col.when", "state.sent", "state.dead"}

func (v *visit) exportMessages(at string) (rows [][]string, next string, err error) {
	list, err := v.Store.MessageHeads(v.r.Context(), v.messageFilter(at, 0), exportPage)
	for _, m := range list {
		why := ""
		if m.Trouble != "" {
			why = v.trouble(m).Text
		}
		rows = append(rows, []string{m.ID, v.messageName(m).Text, v.t("channel." + string(m.Channel)), m.UserID, m.Masked(), v.state(string(m.State())), strconv.Itoa(m.Attempts), why,
			v.stamp(m.CreatedAt), v.stamp(m.SentAt), v.stamp(m.DeadAt)})
	}
	return rows, after(list, func(m idp.Message) string { return m.ID }), err
}

// messageTable lists messages; whoever may send them again finds the way to it.
func (v *visit) messageTable(list []idp.Message) templates.Table {
	t := templates.Table{Caption: "console.messages", Columns: messageColumns}
	if v.may(manage.MessageResend) {
		t.Columns = append(slices.Clone(t.Columns), "console.message.act")
	}
	for _, m := range list {
		row := []templates.Cell{v.messageName(m), {Time: m.CreatedAt}, {Key: "channel." + string(m.Channel)}, {Text: m.Masked(), Mono: true}, {State: string(m.State())},
			{Text: strconv.Itoa(m.Attempts)}, v.trouble(m)}
		if v.may(manage.MessageResend) {
			row = append(row, v.resendLink(m))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (v *visit) messageName(m idp.Message) templates.Cell {
	return templates.Cell{Text: templates.Frame{Lang: v.lang}.Or("message."+m.Template, m.Template)}
}

func (v *visit) resendLink(m idp.Message) templates.Cell {
	if m.State() != idp.MessageDead || m.Template == idp.TemplateCode {
		return templates.Cell{Text: "–"}
	}
	if u, err := v.Store.User(v.r.Context(), m.UserID); err != nil || !manage.MayOnUser(v.User, u, manage.MessageResend) {
		return templates.Cell{Text: "–"}
	}
	return templates.Cell{Key: "console.message.resend", URL: "/console/messages/" + m.ID + "/resend"}
}

// trouble is why a message was not handed over, with the gateway's own code.
func (v *visit) trouble(m idp.Message) templates.Cell {
	words, code, _ := strings.Cut(m.Trouble, " ")
	if words == "" {
		return templates.Cell{Text: "–"}
	}
	return templates.Cell{Text: templates.Frame{Lang: v.lang}.Or("trouble."+words, words), Small: code}
}

func (v *visit) messageOfPath() (idp.Message, error) {
	id, err := v.id()
	if err != nil {
		return idp.Message{}, err
	}
	return v.Store.MessageHead(v.r.Context(), id)
}

// askResend names no person: the message, where it goes and what was wrong.
func (v *visit) askResend() (templates.ConsoleForm, error) {
	m, err := v.messageOfPath()
	if err != nil {
		return templates.ConsoleForm{}, err
	}
	return templates.ConsoleForm{Desk: v.desk("/console/messages"), Title: v.t("console.message.resend_title"), Lead: v.t("console.message.resend_lead"),
		Crumbs: []templates.Crumb{{Text: v.t("console.messages"), URL: "/console/messages"}, {Text: v.t("console.message.resend")}},
		Facts: []templates.Fact{{Key: "console.message.what", Lines: []templates.Cell{v.messageName(m)}}, {Key: "console.message.to", Lines: []templates.Cell{{Text: m.Masked(), Mono: true}}},
			{Key: "console.col.when", Lines: []templates.Cell{{Time: m.CreatedAt}}}, {Key: "console.message.trouble", Lines: []templates.Cell{v.trouble(m)}}},
		Inputs: []templates.Input{reasonInput()}, Submit: "console.message.resend", Cancel: "/console/messages"}, nil
}

func (v *visit) resend() (string, error) {
	id, err := v.id()
	if err != nil {
		return "", err
	}
	return "/console/messages?saved=changed", v.Manage.ResendMessage(v.r.Context(), v.actor(), id)
}
