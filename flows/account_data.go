package flows

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"hufu/idp"
	"hufu/idp/session"
	"hufu/storage"
	"hufu/templates"
)

// export is what a person gets of his own data. There is no secret in it, and nothing
// of anybody else.
type export struct {
	Issuer      string         `json:"issuer"`
	MadeAt      time.Time      `json:"made_at"`
	Profile     exportProfile  `json:"profile"`
	Identifiers []exportName   `json:"identifiers"`
	Credentials []exportFactor `json:"credentials"`
	Sessions    []exportPlace  `json:"sessions"`
	Browsers    []exportPlace  `json:"browsers"`
	Grants      []exportGrant  `json:"grants"`
	Consents    []exportGrant  `json:"consents"`
	Messages    []exportNotice `json:"messages"`
}

type exportProfile struct {
	Sub          string         `json:"sub"`
	Name         string         `json:"name"`
	Language     string         `json:"language"`
	Role         idp.Role       `json:"role"`
	Status       idp.UserStatus `json:"status"`
	MerchantNo   string         `json:"merchant_no,omitempty"`
	MerchantName string         `json:"merchant_name,omitempty"`
	Frozen       bool           `json:"frozen"`
	CreatedAt    time.Time      `json:"created_at"`
}

type exportName struct {
	Kind         idp.IdentifierKind `json:"kind"`
	Value        string             `json:"value"`
	Former       bool               `json:"former,omitempty"`
	VerifiedAt   time.Time          `json:"verified_at,omitzero"`
	LastProvenAt time.Time          `json:"last_proven_at,omitzero"`
	RemovedAt    time.Time          `json:"removed_at,omitzero"`
	CreatedAt    time.Time          `json:"created_at"`
}

type exportFactor struct {
	Method     idp.Method `json:"method"`
	Label      string     `json:"label,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	ChangedAt  time.Time  `json:"changed_at"`
	LastUsedAt time.Time  `json:"last_used_at,omitzero"`
}

// exportPlace is a session or a known browser.
type exportPlace struct {
	Device       string    `json:"device"`
	Network      string    `json:"network"`
	CreatedAt    time.Time `json:"created_at"`
	LastUsedAt   time.Time `json:"last_used_at"`
	TrustedUntil time.Time `json:"trusted_until,omitzero"`
}

// exportGrant is access that was given, or the consent to give it.
type exportGrant struct {
	Client    string    `json:"client"`
	Terminal  string    `json:"terminal,omitempty"`
	Scopes    []string  `json:"scopes"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

type exportNotice struct {
	Channel  idp.ChannelKind `json:"channel"`
	To       string          `json:"to"`
	Template string          `json:"template"`
	At       time.Time       `json:"at"`
}

type exportEvent struct {
	At      time.Time      `json:"at"`
	Name    string         `json:"name"`
	Network string         `json:"network,omitempty"`
	Client  string         `json:"client,omitempty"`
	Reason  string         `json:"reason,omitempty"`
	Data    map[string]any `json:"data,omitempty"`
}

// dataPage tells what the download holds.
func (e *Engine) dataPage(w http.ResponseWriter, r *http.Request, _ *session.Signed) error {
	return e.Site.Write(w, r, http.StatusOK, templates.AccountData{Action: "/account/data"})
}

// exportData sends a person his own data as a file.
func (e *Engine) exportData(w http.ResponseWriter, r *http.Request, me *session.Signed) error {
	if ok, err := e.meets(w, r, me, e.light(me, idp.FlowStepUp, "/account/data")); !ok {
		return err
	}
	ctx := r.Context()
	all, err := e.gather(ctx, me)
	if err != nil {
		return err
	}
	head, err := json.Marshal(all)
	if err != nil {
		return err
	}
	ev := e.act(ctx, me)
	ev.Name = "account.exported"
	if err := e.Store.Append(ctx, ev); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="hufu-account.json"`)
	h.Set("Cache-Control", "no-store")
	_, err = w.Write(append(head[:len(head)-1], `,"events":[`...))
	if err == nil {
		err = e.exportEvents(ctx, w, me)
	}
	if err == nil {
		_, err = io.WriteString(w, "]}\n")
	}
	if err != nil { // the file is cut off where it stands, so that nobody takes it for whole
		e.Log.WarnContext(ctx, "export", "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

const exportRows = 500 // events read at once

// exportEvents writes a person's events, newest first, a page at a time.
func (e *Engine) exportEvents(ctx context.Context, w io.Writer, me *session.Signed) error {
	before, comma := "", ""
	for {
		events, err := e.Store.Events(ctx, storage.EventFilter{Subject: me.User.ID, Names: shown, Before: before}, exportRows)
		if err != nil {
			return err
		}
		for _, ev := range events {
			out := exportEvent{At: ev.At, Name: ev.Name, Client: ev.Client}
			if ev.Actor == "" || ev.Actor == me.User.ID { // of what staff did, the fact alone
				out.Network, out.Reason, out.Data = ev.Network, ev.Reason, ev.Data
			}
			line, err := json.Marshal(out)
			if err != nil {
				return err
			}
			if _, err := w.Write(append([]byte(comma), line...)); err != nil {
				return err
			}
			comma, before = ",", ev.ID
		}
		if len(events) < exportRows {
			return nil
		}
	}
}

// gather reads all but the events.
func (e *Engine) gather(ctx context.Context, me *session.Signed) (x export, err error) {
	u, now := me.User, time.Now()
	x = export{Issuer: e.Site.Issuer, MadeAt: now.UTC(), Profile: exportProfile{Sub: u.ID, Name: u.Name, Language: u.Language, Role: u.Role, Status: u.Status, Frozen: u.Frozen, CreatedAt: u.CreatedAt}}
	if me.Merchant != nil {
		x.Profile.MerchantNo, x.Profile.MerchantName = me.Merchant.No, me.Merchant.LegalName
	}
	names, err := e.Store.Identifiers(ctx, u.ID)
	if err != nil {
		return x, err
	}
	for _, n := range names {
		x.Identifiers = append(x.Identifiers, exportName{n.Kind, n.Value, n.Former, n.VerifiedAt, n.LastProvenAt, n.RemovedAt, n.CreatedAt})
	}
	creds, err := e.Store.Credentials(ctx, u.ID)
	if err != nil {
		return x, err
	}
	for _, c := range creds {
		x.Credentials = append(x.Credentials, exportFactor{c.Method, c.Label, c.CreatedAt, c.ChangedAt, c.LastUsedAt})
	}
	messages, err := e.Store.MessageHeads(ctx, storage.MessageFilter{User: u.ID}, exportRows)
	if err != nil {
		return x, err
	}
	for _, m := range messages {
		x.Messages = append(x.Messages, exportNotice{m.Channel, m.To, m.Template, m.CreatedAt})
	}
	return x, e.gatherAccess(ctx, u, &x, now)
}

// gatherAccess reads who and what is let in.
func (e *Engine) gatherAccess(ctx context.Context, u idp.User, x *export, now time.Time) error {
	live, err := e.Store.Sessions(ctx, u.ID, now)
	if err != nil {
		return err
	}
	for _, ss := range live {
		x.Sessions = append(x.Sessions, exportPlace{Device: ss.Device, Network: ss.Network, CreatedAt: ss.CreatedAt, LastUsedAt: ss.LastSeenAt})
	}
	browsers, err := e.Store.Browsers(ctx, u.ID)
	if err != nil {
		return err
	}
	for _, b := range browsers {
		x.Browsers = append(x.Browsers, exportPlace{b.Label, b.Network, b.CreatedAt, b.LastUsedAt, b.TrustedUntil})
	}
	grants, err := e.Store.Grants(ctx, u.ID)
	if err != nil {
		return err
	}
	for _, g := range grants {
		x.Grants = append(x.Grants, exportGrant{g.ClientID, g.TerminalID, g.Scopes, g.CreatedAt, g.ExpiresAt})
	}
	consents, err := e.Store.Consents(ctx, u.ID)
	if err != nil {
		return err
	}
	for _, c := range consents {
		x.Consents = append(x.Consents, exportGrant{Client: c.ClientID, Scopes: c.Scopes, CreatedAt: c.At})
	}
	return nil
}
