package server

import (
	"hufu/flows"
	"hufu/idp/manage"
	"hufu/idp/policy"
	"hufu/idp/web"
	"hufu/storage"
)

// Offline manages a database beside the server, for whoever holds that: what people are to
// be told is queued, and the server sends it.
func Offline(cfg Config, store *storage.Store, lists policy.Lists) *manage.Manager {
	live := policy.NewLive(policy.Default())
	engine := &flows.Engine{Store: store, Site: &web.Site{Issuer: cfg.Issuer, Operator: cfg.Operator, Zone: cfg.Location()}, Policy: live}
	return &manage.Manager{Store: store, Policy: live, Lists: lists, Issuer: cfg.Issuer, Operator: cfg.Operator, Notify: engine.Notice, Tell: engine.CaseNotice, CaseLink: engine.CaseLink, VoidRecovery: engine.VoidRecovery}
}
