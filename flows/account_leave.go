package flows

import (
	"context"
	"net/http"
	"time"

	"hufu/idp"
	"hufu/idp/session"
	"hufu/idp/web"
	"hufu/templates"
)

// leaveMost is how far ahead somebody may say that he leaves.
const leaveMost = 366 * 24 * time.Hour

// errNoLeaving: an owner hands his shop over, and who works for the operator belongs to
// no shop.
var errNoLeaving = idp.Errorf(idp.Forbidden, "leave.not_you")

// mayLeave: managers and cashiers, of themselves.
func mayLeave(u idp.User) bool { return u.Role == idp.RoleManager || u.Role == idp.RoleCashier }

// leaving serves the page of one's own last day.
func (e *Engine) leaving(h ownPage) web.Handler {
	return e.thawed(func(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
		if !mayLeave(me.User) {
			return errNoLeaving
		}
		if ok, err := e.meets(w, r, me, e.light(me, idp.FlowStepUp, "/account/leave")); !ok {
			return err
		}
		return h(w, r, me)
	})
}

func (e *Engine) leavePage(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	return e.drawLeave(w, r, me, http.StatusOK, templates.Form{}, time.Now().In(e.zone()).Format(time.DateOnly))
}

func (e *Engine) drawLeave(w http.ResponseWriter, r *http.Request, me *session.Signed, status int, form templates.Form, day string) error {
	return e.Site.Write(w, r, status, templates.AccountLeave{Form: form, Action: "/account/leave", Day: day, Set: lastDay(me.User)})
}

// lastDay is a moment of the day at whose end somebody leaves; zero: none is set.
func lastDay(u idp.User) time.Time {
	if u.LeavesAt.IsZero() {
		return time.Time{}
	}
	return u.LeavesAt.Add(-time.Second)
}

func (e *Engine) zone() *time.Location {
	if e.Site.Zone != nil {
		return e.Site.Zone
	}
	return time.FixedZone("UTC+8", 8*60*60)
}

// setLeave keeps the last day that a person names himself. It can come nearer: to stay
// longer, or after all, the owner or the manager says so.
func (e *Engine) setLeave(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	now, typed := time.Now(), r.PostForm.Get("day")
	day, err := time.ParseInLocation(time.DateOnly, typed, e.zone())
	end := idp.DayEnd(day)
	wrong := ""
	switch {
	case err != nil || !end.After(now) || end.After(now.Add(leaveMost)):
		wrong = "leave.day"
	case !me.User.LeavesAt.IsZero() && !end.Before(me.User.LeavesAt):
		wrong = "leave.later"
	}
	if wrong != "" {
		return e.drawLeave(w, r, me, http.StatusUnprocessableEntity, templates.Form{Errors: []templates.FieldError{{Field: "day", Key: wrong}}}, "")
	}
	err = e.alter(r.Context(), me, func(ctx context.Context) error {
		if err := e.Store.SetLeaving(ctx, me.User.ID, end); err != nil {
			return err
		}
		if err := e.stopHandover(ctx, me.User, freezeCause{acting: me}, "left"); err != nil {
			return err
		}
		ev := e.act(ctx, me)
		ev.Name, ev.Data = "staff.leaving", map[string]any{"until": end}
		if err := e.Store.Append(ctx, ev); err != nil {
			return err
		}
		return e.Announce(ctx, me.User, idp.Announcement{Template: "staff.leaving", Object: end.String(), Until: end})
	})
	if err != nil {
		return err
	}
	return web.Redirect(w, r, "/account?saved=leaving")
}

// handoverNote tells who gives or takes a shop how it stands with it.
func (e *Engine) handoverNote(ctx context.Context, u idp.User) (*templates.HandoverNote, error) {
	if u.Role != idp.RoleOwner && u.Role != idp.RoleManager {
		return nil, nil
	}
	h, err := e.Store.RunningHandover(ctx, u.MerchantID)
	if err != nil || h == nil || !h.Party(u.ID) {
		return nil, err
	}
	return &templates.HandoverNote{State: string(h.State), Mine: h.To == u.ID, Due: h.DueAt, URL: "/console/handovers/" + h.ID}, nil
}
