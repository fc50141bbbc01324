package admin

import (
	"net/http"

	"hufu/templates"
)

// kitPage asks for the mark on a recovery sheet, or says what is known of the one in the
// address, as a scanner opens it.
func (v *visit) kitPage() error { return v.kit(v.query("mark")) }

// checkKit looks at a mark that was pasted.
func (v *visit) checkKit() error {
	if err := v.parse(); err != nil {
		return err
	}
	return v.kit(plain(v.r.PostFormValue("mark")))
}

func (v *visit) kit(typed string) error {
	p := templates.ConsoleForm{Desk: v.desk("/console/kit"), Title: v.t("console.kit"), Lead: v.t("console.kit.lead"), Action: "/console/kit", Submit: "console.kit.do", Cancel: "/console",
		Inputs: []templates.Input{{Name: "mark", Label: "console.kit.mark", Hint: "console.kit.mark_hint", Value: typed}}}
	if typed == "" {
		return v.write(p)
	}
	mark, valid, err := v.Manage.CheckKit(v.r.Context(), v.actor(), typed)
	if list, ok := refusals(err); len(list) > 0 && ok {
		p.Form.Errors = list
		return v.Site.Write(v.w, v.r, http.StatusUnprocessableEntity, p)
	}
	if err != nil {
		return err
	}
	day := mark.Day.Format(v.t("time.day_year")) // of the mark itself: it has no zone
	p.Note = &templates.Note{Tone: "warn", Icon: "warn", Text: v.t("console.kit.ended", day), Status: true}
	if valid {
		p.Note = &templates.Note{Tone: "ok", Icon: "check", Text: v.t("console.kit.valid", day), Status: true}
	}
	return v.write(p)
}
