package admin

import (
	"net/http"
	"time"

	"hufu/idp"
	"hufu/templates"
)

// askLeaving asks for the last day of somebody.
func (v *visit) askLeaving() (templates.ConsoleForm, error) {
	u, err := v.userOfPath()
	if err != nil {
		return templates.ConsoleForm{}, err
	}
	p, err := userAct("leaving", true)(v)
	day := time.Now().In(v.zone())
	if !u.LeavesAt.IsZero() {
		day = lastDay(u, v.zone())
		p.Also = []templates.Submit{{Name: "clear", Text: v.t("console.user.leaving_clear")}}
	}
	p.Inputs = v.withReason(templates.Input{Name: "day", Label: "console.user.leaving_day", Hint: "console.user.leaving_hint", Type: "date", Value: day.Format(time.DateOnly)})
	return p, err
}

// lastDay is the day at whose end somebody leaves.
func lastDay(u idp.User, zone *time.Location) time.Time {
	return u.LeavesAt.In(zone).Add(-time.Nanosecond)
}

func (v *visit) setLeaving() (string, error) {
	u, err := v.userOfPath()
	if err != nil {
		return "", err
	}
	var end time.Time
	if v.r.PostFormValue("clear") == "" || u.LeavesAt.IsZero() {
		day, err := time.ParseInLocation(time.DateOnly, v.r.PostFormValue("day"), v.zone())
		if err != nil {
			return "", idp.FieldError("day", "leave.day")
		}
		end = idp.DayEnd(day)
	}
	return "/console/users/" + u.ID + "?saved=changed", v.Manage.PlanLeave(v.r.Context(), v.actor(), u.ID, end)
}

// helpStaff shows the code in the answer itself: it must be in no URL, and it is kept
// nowhere.
func (v *visit) helpStaff() (string, error) {
	u, err := v.userOfPath()
	if err != nil {
		return "", err
	}
	code, until, shown, err := v.Manage.HelpStaff(v.r.Context(), v.actor(), u.ID)
	if err != nil {
		return "", err
	}
	digits := code.Reveal()
	return "", v.Site.Write(v.w, v.r, http.StatusOK, templates.ConsoleCode{Desk: v.desk("/console/users"), Crumbs: v.userCrumbs(u, v.t("console.user.help")), Name: u.Name,
		Code: digits[:len(digits)/2] + " " + digits[len(digits)/2:], Minutes: int(time.Until(until).Round(time.Minute).Minutes()), Shown: shown, Next: "/console/users/" + u.ID})
}
