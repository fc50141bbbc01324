package manage

import "hufu/idp"

// Action is something that an operator does; each is one row of the table of
// permissions.
type Action string

const (
	Console       Action = "console" // open it, find by an exact name
	MerchantList  Action = "merchant.list"
	MerchantView  Action = "merchant.view" // with its stores, terminals, staff
	MerchantNew   Action = "merchant.new"
	MerchantOpen  Action = "merchant.open" // pending → active
	MerchantStop  Action = "merchant.suspend"
	MerchantBack  Action = "merchant.return"
	StoreNew      Action = "store.new"
	TerminalList  Action = "terminal.list"
	TerminalNew   Action = "terminal.new"
	TerminalStop  Action = "terminal.suspend"
	TerminalLost  Action = "terminal.lost"
	TerminalEnd   Action = "terminal.retire"
	UserList      Action = "user.list"
	UserView      Action = "user.view"   // another's page, masked
	OwnerNew      Action = "owner.new"   // of a merchant that has none
	StaffNew      Action = "staff.new"   // of the operator
	UserInvite    Action = "user.invite" // once more
	UserLock      Action = "user.lock"
	UserUnlock    Action = "user.unlock"
	UserEnd       Action = "user.sessions" // end them
	UserDisable   Action = "user.disable"
	UserEnable    Action = "user.enable"
	StaffEnable   Action = "staff.enable"
	ClientRead    Action = "client.read" // without secrets
	ClientNew     Action = "client.new"
	ClientDisable Action = "client.disable"
	ClientEnable  Action = "client.enable"
	ClientSecret  Action = "client.secret"
	EventRead     Action = "event.read"
	EventSubject  Action = "event.subject" // of somebody whose page is open
	ExplainRead   Action = "explain.read"
	MessageRead   Action = "message.read" // who was told what and whether it arrived; never the text
	MessageResend Action = "message.resend"
	CaseRead      Action = "case.read"
	StoreList     Action = "store.list"
	KeyRead       Action = "key.read" // which keys sign, never what they hold
	HealthRead    Action = "health.read"
	Export        Action = "export" // any list that the role may read, as a file
)

// Level says how a role may do an action.
type Level int

const (
	No     Level = iota
	Yes          // may
	Reason       // may, giving a reason
	Four         // may, giving a reason and a fresher proof
)

// Four marks the acts that hand out or bring back power, keys and whole merchants.
// An act of this level asks for a policy administrator, a reason and a proof of
// possession younger than policy's StepUp.ConsoleSecret (300 s). The approval of a
// second person is not part of this version.

type row struct{ admin, agent, supervisor, auditor Level }

// table is the only statement of who may do what. Merchant staff have no column:
// no operator's act is theirs, and what is not listed is refused. Shops invite
// their own managers and cashiers, bring their own terminals back and approve them:
// no operator does.
var table = map[Action]row{
	Console:       {Yes, Yes, Yes, Yes},
	MerchantList:  {Yes, No, Yes, Yes}, // an agent works on one subject, found by an exact name
	MerchantView:  {Reason, Reason, Reason, Yes},
	MerchantNew:   {Reason, No, No, No},
	MerchantOpen:  {Reason, No, No, No},
	MerchantStop:  {Reason, No, Reason, No},
	MerchantBack:  {Four, No, No, No},
	StoreNew:      {Reason, No, No, No},
	TerminalList:  {Yes, No, Yes, Yes},
	TerminalNew:   {Reason, No, No, No},
	TerminalStop:  {Reason, No, Reason, No},
	TerminalLost:  {Reason, Reason, Reason, No},
	TerminalEnd:   {Reason, No, Reason, No},
	UserList:      {Yes, No, Yes, Yes},
	UserView:      {Reason, Reason, Reason, Yes},
	OwnerNew:      {Reason, No, No, No},
	StaffNew:      {Four, No, No, No},
	UserInvite:    {Reason, Reason, Reason, No},
	UserLock:      {Reason, Reason, Reason, No},
	UserUnlock:    {Reason, No, Reason, No},
	UserEnd:       {Reason, Reason, Reason, No},
	UserDisable:   {Reason, No, Reason, No},
	UserEnable:    {Reason, No, Reason, No},
	StaffEnable:   {Four, No, No, No},
	ClientRead:    {Yes, No, No, Yes},
	ClientNew:     {Four, No, No, No},
	ClientDisable: {Four, No, No, No},
	ClientEnable:  {Four, No, No, No},
	ClientSecret:  {Four, No, No, No},
	EventRead:     {Yes, No, Yes, Yes},
	EventSubject:  {Yes, Yes, Yes, Yes},
	ExplainRead:   {No, Yes, Yes, No},
	MessageRead:   {Yes, Yes, Yes, Yes},
	MessageResend: {Reason, Reason, Reason, No},
	CaseRead:      {Yes, Yes, Yes, Yes},
	StoreList:     {Yes, No, Yes, Yes},
	KeyRead:       {Yes, No, No, Yes},
	HealthRead:    {Yes, No, Yes, Yes},
	Export:        {Reason, No, No, Reason},
}

// May says how a role may do an action.
func May(role idp.Role, act Action) Level {
	r := table[act]
	switch role {
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

// MayCase says whether somebody may read the cases of a person. Whoever works for the
// merchants' people is the operator's support: a policy administrator reads those of the
// operator's own staff alone.
func MayCase(reader, about idp.User) bool {
	return May(reader.Role, CaseRead) != No && (!OnlyStaffCases(reader) || about.Role.Operator())
}

// OnlyStaffCases says whether the cases that somebody may read are those of staff alone.
func OnlyStaffCases(reader idp.User) bool { return reader.Role == idp.RolePolicyAdmin }

// Grave says whether an act asks for a fresher proof than others: those of level
// Four, and what takes a whole list out of the house.
func Grave(act Action) bool { return table[act].admin == Four || act == Export }

// Actions lists every row of the table.
func Actions() []Action {
	var all []Action
	for a := range table {
		all = append(all, a)
	}
	return all
}
