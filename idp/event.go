package idp

import "time"

// Event is one line of the audit log. It never holds a secret, a code or the
// value of evidence.
type Event struct {
	ID       string
	At       time.Time
	Name     string // such as "signin.succeeded"; the list is EventNames
	Actor    string // who did it: a user id, "system", or "" for a stranger
	Subject  string // whose account it is about
	Merchant string
	Store    string
	Terminal string
	Client   string
	Session  string
	Flow     string
	Network  string // /24 or /48
	Reason   string // reason code, or the words an administrator gave
	Explain  string // explain code that was shown with it
	Policy   int64  // version of the policy document that decided
	Data     map[string]any
}

// EventNames lists every event that this server writes, with whether the person
// it is about sees it. A test holds that no other name is written.
var EventNames = map[string]bool{
	"signin.succeeded": true, "signin.failed": true, "signin.refused": true, "signin.stepup": true, "signin.newbrowser": true, "signin.newplace": true,
	"session.ended": true, "session.ended_all": false, "grant.created": true, "grant.revoked": true, "grant.reuse_detected": true,
	"password.changed": true, "password.reset": true, "password.suspected": true,
	"password.expiring": true, "password.must_change": true,
	"factor.enrolled": true, "factor.removed": true, "factor.replaced": true, "factor.renamed": true, "factor.clone_suspected": true, "code.sent": true,
	"codes.issued": true, "codes.used": true, "codes.low": true,
	"recovery.started": true, "recovery.proof": true, "recovery.delayed": true, "recovery.reminded": true, "recovery.stopped": true, "recovery.completed": true, "recovery.expired": true,
	"recovery.refused": true, "channel.disputed": true, "username.told": true,
	"channel.added": true, "channel.removed": true, "channel.undone": true, "channel.stale": true, "channel.confirmed": true, "username.changed": true,
	"account.frozen": true, "account.unfrozen": true, "account.notme": true, "account.exported": true,
	"case.opened": true, "case.closed": true, "case.evidence": true, "case.callercode": true, "case.approved": true, "case.refused": true, "case.answered": true,
	"case.assigned": false, "case.addressed": true, "case.ready": false, "case.overdue": false, "account.documents": true, "account.revealed": true, "staff.team": false,
	"message.dead": false, "message.resent": false, "notice.held": false, "sms.breaker": false, "sms.pumping": false,
	"browser.known": true, "browser.trusted": true, "browser.revoked": true, "browser.copied": true,
	"lock.wait": true, "lock.closed": true, "lock.browser": true, "lock.account": true, "lock.lifted": true,
	"account.created": true, "account.invited": true, "account.joined": true, "account.disabled": true, "account.enabled": true, "account.viewed": true,
	"device.requested": false, "device.approved": true, "device.denied": true, "device.wrong_digits": true,
	"device.redeemed":  true,
	"terminal.created": false, "terminal.activated": true, "terminal.suspended": true, "terminal.lost": true,
	"terminal.returned": true, "terminal.retired": true,
	"terminal.keyed": true, "terminal.rekeyed": true, "terminal.answered": true, "device.refused": false,
	"staff.invited": true, "staff.role": true, "staff.left": true,
	"staff.leaving": true, "account.left": true, "staff.helped": true, "owner.proposed": true, "owner.accepted": true, "owner.stopped": true, "owner.done": true, "merchant.created": false, "merchant.activated": true, "merchant.viewed": false, "merchant.suspended": true, "merchant.returned": true, "merchant.closed": true, "merchant.tier": true, "store.created": false, "store.renamed": false,
	"client.created": false, "client.changed": false, "client.disabled": false, "client.enabled": false, "client.secret": false,
	"key.created": false, "key.rotated": false, "config.demo": false, "list.exported": true,
	"policy.drafted": false, "policy.submitted": false, "policy.approved": false, "policy.refused": false, "policy.withdrawn": false, "policy.activated": false,
	"policy.rolledback": false, "policy.emergency": false, "policy.exported": false,
	"approval.asked": false, "approval.approved": false, "approval.refused": false, "approval.withdrawn": false, "approval.failed": false, "approval.collected": false,
}
