package flows

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"hufu/idp"
	"hufu/templates"
)

// Refusals that are no guess: what came is too late, used up or somebody else's. Support
// finds their reason by an explain code, as that of a wrong guess.

// anybody is who asks for what there is not, or not any more.
func (e *Engine) anybody(r *http.Request) *State { return &State{engine: e, request: r} }

// refusedName is the event of such a refusal: the log tells those of a recovery apart.
func (s *State) refusedName() string {
	if k := s.Demand.Kind; k == idp.FlowRecover || k == idp.FlowName {
		return "recovery.refused"
	}
	return "signin.refused"
}

// explain writes such a refusal to the log and returns its explain code. Nothing is
// charged for it and anybody can bring it about, so the log takes only so many of a
// network; then there is no code, "". Who is known writes for himself: strangers must not
// use up his.
func (e *Engine) explain(ctx context.Context, s *State, ev idp.Event) (code string, err error) {
	b := e.Policy.Now().Throttle.Explain
	rows := []row{{kind: "explain", key: s.known(), bucket: b}}
	if s.known() == nil {
		if rows, err = e.networks(ctx, s, "explain", b); err != nil {
			return "", err
		}
	}
	err = e.Store.Tx(ctx, func(ctx context.Context) error {
		code = ""
		for _, w := range rows {
			if ok, _, err := w.take(ctx, e.Store, time.Now()); err != nil || !ok {
				return err
			}
		}
		code = idp.NewExplainCode()
		ev.Name, ev.Explain = s.refusedName(), code
		return e.event(ctx, s, ev)
	})
	return code, err
}

// explained is explain for a page that ends the way: what it says to do is worth more
// than its code, so it is drawn without one when the log cannot be written.
func (e *Engine) explained(r *http.Request, s *State, reason string) string {
	code, err := e.explain(r.Context(), s, idp.Event{Reason: reason})
	if err != nil {
		e.Log.WarnContext(r.Context(), "explain code", "error", err)
		return ""
	}
	return code
}

// void refuses an answer that is no guess, inside the engine's transaction: it counts as a
// refusal of the flow, whose page shows the code from the second one on, and as nothing
// else.
func (e *Engine) void(ctx context.Context, s *State, m idp.Method, refusal *idp.Error) error {
	s.Facts.Refusals++
	code, err := e.explain(ctx, s, idp.Event{Reason: refusal.Reason, Data: map[string]any{"method": string(m)}})
	if err != nil {
		return err
	}
	if s.Facts.Refusals > 1 {
		s.Form.Explain = code
	}
	return refusal
}

// unbound refuses what a browser answered to the wish for a new passkey.
func (e *Engine) unbound(ctx context.Context, s *State, err error) error {
	why, ok := errors.AsType[*idp.Error](err)
	if !ok || why.Kind != idp.Invalid {
		return err
	}
	return e.void(ctx, s, idp.MethodPasskey, &idp.Error{Kind: idp.Rejected, Field: why.Field, Msg: why.Msg, Reason: why.Msg})
}

// gone draws the page of a flow that is over, or was never this browser's.
func (e *Engine) gone(w http.ResponseWriter, r *http.Request, err error) error {
	return e.over(w, r, e.anybody(r), err)
}

// over is gone for a flow that is known.
func (e *Engine) over(w http.ResponseWriter, r *http.Request, s *State, err error) error {
	why, ok := errors.AsType[*idp.Error](err)
	if !ok || why.Kind != idp.Expired {
		return err
	}
	p := templates.Expired{Lead: why.Msg, RestartURL: "/sign-in", Explain: e.explained(r, s, cmp.Or(why.Reason, errExpired.Reason))}
	return e.Site.Write(w, r, http.StatusGone, p)
}
