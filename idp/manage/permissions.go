package manage

import (
	"slices"
	"time"

	"hufu/idp"
)

// Action is something that somebody does in the console; each is one row of the table
// of permissions.
type Action string

const (
	Console         Action = "console" // open it, find by an exact name
	MerchantList    Action = "merchant.list"
	MerchantView    Action = "merchant.view" // with its stores, terminals, staff
	MerchantNew     Action = "merchant.new"
	MerchantOpen    Action = "merchant.open" // pending → active
	MerchantStop    Action = "merchant.suspend"
	MerchantBack    Action = "merchant.return"
	MerchantClose   Action = "merchant.close"
	TierUp          Action = "merchant.tier"
	TierDown        Action = "merchant.tier_down"
	StoreList       Action = "store.list"
	StoreView       Action = "store.view" // with its terminals and staff
	StoreNew        Action = "store.new"
	StoreRename     Action = "store.rename"
	TerminalList    Action = "terminal.list"
	TerminalView    Action = "terminal.view"
	TerminalNew     Action = "terminal.new"
	TerminalStop    Action = "terminal.suspend"
	TerminalLost    Action = "terminal.lost"
	TerminalBack    Action = "terminal.return" // suspended → active
	TerminalFound   Action = "terminal.found"  // lost → active
	TerminalEnd     Action = "terminal.retire"
	UserList        Action = "user.list"
	UserView        Action = "user.view"   // another's page, masked
	OwnerNew        Action = "owner.new"   // of a merchant that has none
	StaffNew        Action = "staff.new"   // of the operator
	ManagerNew      Action = "manager.new" // of a merchant
	CashierNew      Action = "cashier.new"
	RoleChange      Action = "user.role"  // of a merchant's own people, or their store
	UserLeave       Action = "user.leave" // removes one of them for good, now or at the end of a day
	UserHelp        Action = "user.help"  // lets one of them in again
	HandoverView    Action = "owner.view"
	HandoverNew     Action = "owner.propose" // another owner of the own merchant
	HandoverAccept  Action = "owner.accept"  // as who was proposed
	HandoverStop    Action = "owner.stop"
	HandoverAsk     Action = "owner.ask"    // for a merchant whose owner is gone
	HandoverDecide  Action = "owner.decide" // what another has asked
	UserInvite      Action = "user.invite"  // once more
	UserLock        Action = "user.lock"
	UserUnlock      Action = "user.unlock"
	UserEnd         Action = "user.sessions" // end them
	UserDisable     Action = "user.disable"
	UserEnable      Action = "user.enable"
	StaffEnable     Action = "staff.enable"
	StaffTeam       Action = "staff.team"     // with whom one of the operator's staff works
	StaffRole       Action = "staff.role"     // of the operator's own people
	StaffLeave      Action = "staff.leave"    // removes one of them for good
	UserReveal      Action = "user.reveal"    // a phone or address, unmasked
	UserDocuments   Action = "user.documents" // what evidence is compared with
	ClientRead      Action = "client.read"    // without secrets
	ClientNew       Action = "client.new"
	ClientChange    Action = "client.change"
	ClientDisable   Action = "client.disable"
	ClientEnable    Action = "client.enable"
	ClientSecret    Action = "client.secret"
	EventRead       Action = "event.read"
	EventSubject    Action = "event.subject" // of somebody whose page is open
	ExplainRead     Action = "explain.read"
	KitCheck        Action = "kit.check"    // the mark on a recovery sheet: neither whose it is nor a code
	MessageRead     Action = "message.read" // who was told what and whether it arrived; never the text
	MessageResend   Action = "message.resend"
	CaseRead        Action = "case.read"
	CaseOpen        Action = "case.open"     // for a caller who cannot get in
	CaseWork        Action = "case.work"     // take it, give it back
	CaseEvidence    Action = "case.evidence" // compare; ask for an approval
	CaseCall        Action = "case.call"     // the two-way code
	CaseStop        Action = "case.stop"     // freeze whom the case is about, for he says so on the telephone
	CaseAnswer      Action = "case.answer"   // one of the prepared answers, to bound channels
	CaseRefuse      Action = "case.refuse"   // or keep the freeze
	CaseApprove     Action = "case.approve"  // a link, or the end of a freeze
	PolicyRead      Action = "policy.read"
	PolicyDraft     Action = "policy.draft" // with simulations of it
	PolicySubmit    Action = "policy.submit"
	PolicyEnd       Action = "policy.end" // refuse and withdraw: what only stops asks no passkey
	PolicyApprove   Action = "policy.approve"
	PolicyRollBack  Action = "policy.rollback"
	PolicyEmergency Action = "policy.emergency"
	PolicyExport    Action = "policy.export" // whom a draft would touch
	KeyRead         Action = "key.read"      // which keys sign, never what they hold
	KeyRotate       Action = "key.rotate"
	HealthRead      Action = "health.read"
	ApprovalRead    Action = "approval.read"   // what waits for a second person, of the acts that are one's own
	ApprovalDecide  Action = "approval.decide" // approve what another asked for
	ApprovalRefuse  Action = "approval.refuse" // or refuse it, which only stops
	ApprovalEnd     Action = "approval.withdraw"
	ApprovalCollect Action = "approval.collect" // a secret that an approved act made, once
	Export          Action = "export"           // any list that the role may read, as a file
)

// Right says how a role may do an action, and with whose things: a level and a scope.
type Right int

// The levels.
const (
	No     Right = iota
	Yes          // may
	Reason       // may, giving a reason
	Four         // may ask for it, giving a reason and a fresher proof: another person approves
)

// Four marks the acts that hand out or bring back power, keys and whole merchants. Who
// may do such an act asks for it, and another one who may does it by approving
// ([Manager.Approve]); both give a reason and show the
// class of policy's StepUp.ConsoleACR (a passkey), one proof younger than ConsoleSecret (300 s). Of the policy, an edition is what waits: its rows of this
// level are the approval itself, by another than the author, and the submission of an
// older one.

// Scope is whose things a right is about.
type Scope int

const (
	Everything  Scope = iota // the operator's
	OwnMerchant              // those of his own merchant
	OwnStore                 // those of his own store; who works in all stores has them all
)

const scopeBits = 4

// Rights of a merchant's own people.
const (
	yesM = Yes | Right(OwnMerchant)<<scopeBits
	whyM = Reason | Right(OwnMerchant)<<scopeBits
	yesS = Yes | Right(OwnStore)<<scopeBits
	whyS = Reason | Right(OwnStore)<<scopeBits
)

// Level is a right without its scope.
func (r Right) Level() Right { return r & (1<<scopeBits - 1) }

// Scope is whose things a right is about.
func (r Right) Scope() Scope { return Scope(r >> scopeBits) }

type row struct{ owner, manager, cashier, admin, agent, supervisor, auditor Right }

// table is the only statement of who may do what. What is not listed is refused. Shops
// invite their own managers and cashiers, bring their own terminals back and approve
// them: no operator does.
var table = map[Action]row{
	Console:         {yesM, yesS, No, Yes, Yes, Yes, Yes},
	MerchantList:    {No, No, No, Yes, No, Yes, Yes}, // an agent works on one subject, found by an exact name
	MerchantView:    {yesM, No, No, Reason, Reason, Reason, Yes},
	MerchantNew:     {No, No, No, Reason, No, No, No},
	MerchantOpen:    {No, No, No, Reason, No, No, No},
	MerchantStop:    {No, No, No, Reason, No, Reason, No},
	MerchantBack:    {No, No, No, Four, No, No, No},
	MerchantClose:   {No, No, No, Four, No, Four, No},
	TierUp:          {No, No, No, Reason, No, No, No},
	TierDown:        {No, No, No, Four, No, No, No},
	StoreList:       {yesM, yesS, No, Yes, No, Yes, Yes},
	StoreView:       {yesM, yesS, No, Reason, Reason, Reason, Yes},
	StoreNew:        {yesM, No, No, Reason, No, No, No},
	StoreRename:     {yesM, No, No, Reason, No, No, No},
	TerminalList:    {yesM, yesS, No, Yes, No, Yes, Yes},
	TerminalView:    {yesM, yesS, No, Reason, Reason, Reason, Yes},
	TerminalNew:     {No, No, No, Reason, No, No, No},
	TerminalStop:    {whyM, whyS, No, Reason, No, Reason, No},
	TerminalLost:    {yesM, yesS, yesS, Reason, Reason, Reason, No},
	TerminalBack:    {whyM, whyS, No, No, No, No, No},
	TerminalFound:   {whyM, No, No, No, No, No, No},
	TerminalEnd:     {whyM, No, No, Reason, No, Reason, No},
	UserList:        {yesM, yesS, No, Yes, No, Yes, Yes},
	UserView:        {yesM, yesS, No, Reason, Reason, Reason, Yes},
	OwnerNew:        {No, No, No, Reason, No, No, No},
	StaffNew:        {No, No, No, Four, No, No, No},
	ManagerNew:      {yesM, No, No, No, No, No, No},
	CashierNew:      {yesM, yesS, No, No, No, No, No},
	RoleChange:      {yesM, No, No, No, No, No, No},
	UserLeave:       {whyM, whyS, No, No, No, No, No},
	UserHelp:        {whyM, whyS, No, No, No, No, No},
	HandoverView:    {yesM, yesM, No, Reason, Reason, Reason, Yes},
	HandoverNew:     {yesM, No, No, No, No, No, No},
	HandoverAccept:  {No, yesM, No, No, No, No, No},
	HandoverStop:    {yesM, yesM, No, No, No, No, No},
	HandoverAsk:     {No, No, No, Reason, No, Reason, No},
	HandoverDecide:  {No, No, No, Reason, No, Reason, No},
	UserInvite:      {yesM, yesS, No, Reason, Reason, Reason, No},
	UserLock:        {No, No, No, Reason, Reason, Reason, No},
	UserUnlock:      {No, No, No, Reason, No, Reason, No},
	UserEnd:         {yesM, yesS, No, Reason, Reason, Reason, No},
	UserDisable:     {whyM, whyS, No, Reason, No, Reason, No},
	UserEnable:      {whyM, whyS, No, Reason, No, Reason, No},
	StaffEnable:     {No, No, No, Four, No, No, No},
	StaffRole:       {No, No, No, Four, No, No, No},
	StaffLeave:      {No, No, No, Four, No, No, No},
	StaffTeam:       {No, No, No, Reason, No, No, No},
	UserReveal:      {No, No, No, No, Reason, Reason, No},
	UserDocuments:   {No, No, No, Reason, No, Reason, No},
	ClientRead:      {No, No, No, Yes, No, No, Yes},
	ClientNew:       {No, No, No, Four, No, No, No},
	ClientChange:    {No, No, No, Four, No, No, No},
	ClientDisable:   {No, No, No, Four, No, No, No},
	ClientEnable:    {No, No, No, Four, No, No, No},
	ClientSecret:    {No, No, No, Four, No, No, No},
	EventRead:       {yesM, No, No, Yes, No, Yes, Yes},
	EventSubject:    {yesM, yesS, No, Yes, Yes, Yes, Yes},
	ExplainRead:     {No, No, No, No, Yes, Yes, No},
	KitCheck:        {No, No, No, Yes, Yes, Yes, Yes},
	MessageRead:     {No, No, No, Yes, Yes, Yes, Yes},
	MessageResend:   {No, No, No, Reason, Reason, Reason, No},
	CaseRead:        {yesM, No, No, Yes, Yes, Yes, Yes},
	CaseOpen:        {No, No, No, Reason, Reason, Reason, No}, // a policy administrator works on the operator's own staff alone
	CaseWork:        {No, No, No, Yes, Yes, Yes, No},
	CaseEvidence:    {No, No, No, Reason, Reason, Reason, No},
	CaseCall:        {No, No, No, No, Yes, Yes, No},
	CaseStop:        {No, No, No, No, Reason, Reason, No},
	CaseAnswer:      {No, No, No, Reason, Reason, Reason, No},
	CaseRefuse:      {No, No, No, Reason, Reason, Reason, No},
	CaseApprove:     {No, No, No, Reason, No, Reason, No},
	PolicyRead:      {No, No, No, Yes, No, No, Yes},
	PolicyDraft:     {No, No, No, Yes, No, No, No},
	PolicySubmit:    {No, No, No, Reason, No, No, No},
	PolicyEnd:       {No, No, No, Reason, No, No, No},
	PolicyApprove:   {No, No, No, Four, No, No, No},
	PolicyRollBack:  {No, No, No, Four, No, No, No},
	PolicyEmergency: {No, No, No, Reason, No, No, No},
	PolicyExport:    {No, No, No, Reason, No, No, Reason},
	KeyRead:         {No, No, No, Yes, No, No, Yes},
	KeyRotate:       {No, No, No, Four, No, No, No},
	HealthRead:      {No, No, No, Yes, No, Yes, Yes},
	ApprovalRead:    {No, No, No, Yes, No, Yes, Yes},
	ApprovalDecide:  {No, No, No, Reason, No, Reason, No},
	ApprovalRefuse:  {No, No, No, Reason, No, Reason, No},
	ApprovalEnd:     {No, No, No, Yes, No, Yes, No},
	ApprovalCollect: {No, No, No, Yes, No, No, No},
	Export:          {yesM, No, No, Reason, No, No, Reason},
}

// May says how a role may do an action.
func May(role idp.Role, act Action) Right {
	r := table[act]
	switch role {
	case idp.RoleOwner:
		return r.owner
	case idp.RoleManager:
		return r.manager
	case idp.RoleCashier:
		return r.cashier
	case idp.RolePolicyAdmin:
		return r.admin
	case idp.RoleSupportAgent:
		return r.agent
	case idp.RoleSupportSupervisor:
		return r.supervisor
	case idp.RoleAuditor:
		return r.auditor
	}
	return No
}

// Target is whose a thing is: a merchant's and, unless it belongs to all its stores, a
// store's. The operator's own things are nobody's: the zero Target.
type Target struct{ Merchant, Store string }

// OfUser, OfStore and OfTerminal are whose somebody or something is.
func OfUser(u idp.User) Target         { return Target{u.MerchantID, u.StoreID} }
func OfStore(s idp.Store) Target       { return Target{s.MerchantID, s.ID} }
func OfTerminal(t idp.Terminal) Target { return Target{t.MerchantID, t.StoreID} }

// Allowed decides whether somebody may do an action with a thing. What his role may
// never do is forbidden; what is another merchant's, or of a store that is not his, does
// not exist for him.
func Allowed(u idp.User, act Action, of Target) error {
	r := May(u.Role, act)
	switch {
	case r.Level() == No:
		return forbidden("error.forbidden")
	case r.Scope() == Everything:
		return nil
	case u.MerchantID == "" || of.Merchant != u.MerchantID:
		return idp.Errorf(idp.NotFound, "error.notfound")
	case r.Scope() == OwnStore && u.StoreID != "" && of.Store != u.StoreID:
		return idp.Errorf(idp.NotFound, "error.notfound")
	}
	return nil
}

// Reach is what the lists of an action are narrowed to; empty fields do not narrow.
func Reach(u idp.User, act Action) (Target, error) {
	if err := Check(u, act); err != nil {
		return Target{}, err
	}
	switch May(u.Role, act).Scope() {
	case OwnMerchant:
		return Target{Merchant: u.MerchantID}, nil
	case OwnStore:
		return Target{u.MerchantID, u.StoreID}, nil
	}
	return Target{}, nil
}

// adding are the acts that bring somebody or something in, or back, or make an exception.
// A hand-over has a rule of its own, which is stricter.
var adding = []Action{OwnerNew, StaffNew, ManagerNew, CashierNew, UserInvite, RoleChange, StaffRole, StaffTeam, UserHelp, UserUnlock, UserEnable, StaffEnable, UserDocuments, TerminalNew, TerminalBack, TerminalFound,
	HandoverAsk, HandoverDecide, ClientNew, ClientChange, ClientEnable, ClientSecret, MerchantBack, TierDown, ApprovalDecide, ApprovalCollect, CaseApprove, PolicySubmit, PolicyApprove, PolicyRollBack, PolicyEmergency}

// Check refuses what somebody may do with nothing at all, and what he may not now. It is for
// looking; an act checks itself.
func Check(u idp.User, act Action) error {
	r := May(u.Role, act)
	if r.Level() == No || r.Scope() != Everything && u.MerchantID == "" {
		return forbidden("error.forbidden")
	}
	if slices.Contains(adding, act) {
		return u.Adding(time.Now())
	}
	return nil
}

// Safe says whether an act only stops something that is a role's own: stopping asks for
// no more than a session.
func Safe(role idp.Role, act Action) bool {
	return (act == TerminalLost || act == HandoverStop) && May(role, act).Scope() != Everything
}

// Whole says whether an act asks that all proofs be fresh, not one of possession: a
// thief at an unlocked browser must not bring back what he stole, give the shop away or put a
// policy in force.
func Whole(act Action) bool {
	return slices.Contains([]Action{TerminalFound, PolicyEmergency, HandoverNew, HandoverAccept}, act)
}

// MayCase says whether somebody may read the cases of a person. Whoever works for the
// merchants' people is the operator's support: a policy administrator reads those of the
// operator's own staff alone.
func MayCase(reader, about idp.User) bool {
	return Allowed(reader, CaseRead, OfUser(about)) == nil && (!OnlyStaffCases(reader) || about.Role.Operator())
}

// OnlyStaffCases says whether the cases that somebody may read are those of staff alone.
func OnlyStaffCases(reader idp.User) bool { return reader.Role == idp.RolePolicyAdmin }

// Grave says whether an act asks for a fresher proof than others: those of level
// Four, their approval and what comes of it, the second word on a
// hand-over or a case, who works with whom, and what takes a whole list out of the house.
func Grave(act Action) bool {
	return table[act].admin == Four || slices.Contains([]Action{ApprovalDecide, ApprovalRefuse, ApprovalCollect, PolicySubmit, PolicyEmergency, PolicyExport, Export, HandoverDecide, CaseApprove, StaffTeam}, act)
}

// Actions lists every row of the table.
func Actions() []Action {
	var all []Action
	for a := range table {
		all = append(all, a)
	}
	return all
}
